// What tests/bench measures on: many objects, and a heartbeat that sees when the process stands.
//
//   Herd PAIRS MIB
//
// Holds PAIRS owners with a thing each, and MIB arrays of 1 MiB, then prints "ready", and after that
// every 50 ms "beats gap N us": the longest time between two beats since the last line.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;

namespace Herd
{
    public class Thing { public int Weight; }
    public class Owner { public Thing Thing; public long Number; }
    public class Registry
    {
        public static readonly Registry Instance = new Registry();
        public Dictionary<string, bool> Flags = new Dictionary<string, bool> { { "First", true }, { "Second", false } };
    }

    static class Program
    {
        static Owner[] owners;
        static readonly List<byte[]> bulk = new List<byte[]>();

        static void Main(string[] args)
        {
            owners = new Owner[int.Parse(args[0])];
            for (int i = 0; i < owners.Length; i++)
                owners[i] = new Owner { Number = i, Thing = new Thing { Weight = i % 97 } };
            for (int i = int.Parse(args[1]); i > 0; i--)
            {
                var block = new byte[1 << 20];
                for (int at = 0; at < block.Length; at += 64) block[at] = (byte)(at * i >> 6);
                bulk.Add(block);
            }
            GC.Collect();
            Console.WriteLine("ready " + Registry.Instance.Flags.Count);
            Beat();
        }

        static void Beat()
        {
            long last = Stopwatch.GetTimestamp(), printed = last, gap = 0;
            for (;;)
            {
                Thread.Sleep(0);
                long now = Stopwatch.GetTimestamp();
                gap = Math.Max(gap, now - last);
                last = now;
                if (now - printed < Stopwatch.Frequency / 20) continue;
                Console.WriteLine("beats gap " + gap * 1000000 / Stopwatch.Frequency + " us");
                printed = last = Stopwatch.GetTimestamp();
                gap = 0;
                Thread.Sleep(1);
            }
        }
    }
}
