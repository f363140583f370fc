// A .NET service that holds many objects and says on stdout what it holds: one JSON object a line,
// then "ready". It idles from then on.
//
//   Depot SEED [--allocate] [--healthy]
//
// Counts and values come from the seed. Wherever _TAG stands in a name, whoever compiles this puts
// letters of their own, so that no tool can know the names. --allocate: a thread goes on making
// garbage. --healthy: nobody is in a deadlock. The lines, by their member "what":
//   process     pid, the runtime's version, the seed
//   count       objects of exactly this type on the heap
//   object      one object: its type and all its instance fields, inherited ones too
//   statics     a type's static fields
//   thread      a managed thread: name, id, what it does ("idle", "lock", "wait", "task",
//               "catch")
//   stack       the frames of this program on a thread's stack, innermost first: method, and the IL
//               offsets at which it calls the one before (none of the first, which goes on)
//   lock        a lock that is held: type of its object, the owner's thread, how often it has
//               entered, and the thread of one waiter (null: nobody waits)
//   thrown      an exception that a thread is handling: name of the thread, type, message
//   exception   one kept on the heap: type, message, type and message of the inner one
//   await       an async method that waits, and the one that awaits it (null: nobody)
// A value is a JSON number, string, boolean or null; or an object of one member: "enum" (name, and
// "value" beside it), "struct" (with "fields"), "boxed" (with "value"), "entries" (of a dictionary,
// in any order), "items" (of anything else that is a collection, in order but for a set), "ref"
// (the type of another object).
using System;
using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Depot_TAG
{
    public enum Carrier : byte { Post = 1, Drone = 7, Truck = 200 }

    [Flags]
    public enum Marks : long { None = 0, Fragile = 1, Cold = 4, Secret = 1L << 40 }

    public struct Place
    {
        public int Row;
        public double Height;
        public string Name;
    }

    public class Parcel
    {
        public long Id;
        public string Label;
        public Carrier Carrier;
        public Place Place;
        public Parcel Next;
    }

    public class FragileParcel : Parcel
    {
        public float Padding;
        private Marks marks = Marks.Fragile;
        public void Mark(Marks more) { marks |= more; }
    }

    public class Pallet { public int[] Weights; }
    public class Invoice { public decimal Total; public Guid Number; public DateTime Due; }

    public class Crate<T>
    {
        public T Content;
        public T[] Spares;
        public class Lid<U> { public T Under; public U Over; }
    }

    public class FeatureFlags_TAG
    {
        public static readonly FeatureFlags_TAG Instance = new FeatureFlags_TAG();
        public Dictionary<string, bool> FeatureFlags = new Dictionary<string, bool>();
        public string Environment;
        public int Revision;
    }

    public class Everything
    {
        public bool Yes = true, No;
        public sbyte SByte;
        public byte Byte;
        public short Short;
        public ushort UShort;
        public int Int;
        public uint UInt;
        public long Long;
        public ulong ULong;
        public float Float;
        public double Double;
        public char Char;
        public string Empty = "", Null, Text;
        public object BoxedInt, BoxedEnum, BoxedPlace, Nothing;
        public int? Some, None;
        public Marks Marks;
        public Place Place;
        public int[] Ints;
        public string[] Strings;
        public byte[] Bytes;
        public Place[] Places;
        public object[] Objects;
        public List<int> List;
        public List<string> Words;
        public HashSet<string> Set;
        public Dictionary<int, string> Names;
        public ConcurrentDictionary<string, int> Stock;
        public Crate<Dictionary<string, int>>.Lid<Parcel> Lid;
    }

    public static class Ledger
    {
        public static int Number;
        public static long Big;
        public static double Ratio;
        public static string Title;
        public static Carrier Preferred;
        public static List<Parcel> Growing = new List<Parcel>();
        public static Everything Sample;
        public static Exception Last;
    }

    public class ShelfLock_TAG { public int Shelf; }
    public class StockLock_TAG { public int Level; }
    public class LedgerLock_TAG { public int Page; }

    // What is held, made from the seed.
    static class Make
    {
        static readonly string[] Alphabets = { "abcdefghijklmnop", "äöüßéèñø", "日本語倉庫荷物", "🚚📦✈🦺" };

        public static string Text(Random random)
        {
            var runes = Alphabets[random.Next(Alphabets.Length)].EnumerateRunes().ToArray();
            var text = new StringBuilder();
            for (int i = random.Next(1, 24); i > 0; i--) text.Append(runes[random.Next(runes.Length)]);
            return text.ToString();
        }

        static Carrier AnyCarrier(Random random)
        {
            return new[] { Carrier.Post, Carrier.Drone, Carrier.Truck }[random.Next(3)];
        }

        static Place AnyPlace(Random random)
        {
            return new Place { Row = random.Next(-999, 999), Height = random.NextDouble() * 100, Name = Text(random) };
        }

        public static Parcel[] Parcels(Random random, out int fragile)
        {
            var parcels = new Parcel[random.Next(2000, 4000)];
            fragile = 0;
            for (int i = 0; i < parcels.Length; i++)
            {
                Parcel parcel = random.Next(4) == 0 ? new FragileParcel { Padding = (float)random.NextDouble() } : new Parcel();
                if (parcel is FragileParcel) fragile++;
                parcel.Id = ((long)random.Next() << 31) + i;
                parcel.Label = Text(random);
                parcel.Carrier = AnyCarrier(random);
                parcel.Place = AnyPlace(random);
                parcel.Next = i == 0 ? null : parcels[random.Next(i)];
                parcels[i] = parcel;
            }
            return parcels;
        }

        public static Invoice Invoice(Random random)
        {
            var bytes = new byte[16];
            random.NextBytes(bytes);
            return new Invoice
            {
                Total = new decimal(random.Next()) / 100,
                Number = new Guid(bytes),
                Due = new DateTime(2020, 1, 1).AddMinutes(random.Next(1000000))
            };
        }

        public static void Flags(Random random)
        {
            FeatureFlags_TAG flags = FeatureFlags_TAG.Instance;
            int count = random.Next(5, 30), off = random.Next(count);
            for (int i = 0; i < count; i++) flags.FeatureFlags["Enable" + i + Text(random)] = i != off;
            // Entries that are free again stay in the table.
            flags.FeatureFlags.Add("Gone", true);
            flags.FeatureFlags.Remove("Gone");
            flags.Environment = Text(random);
            flags.Revision = random.Next();
        }

        static T[] Several<T>(Random random, Func<Random, T> one)
        {
            return Enumerable.Range(0, random.Next(3, 12)).Select(_ => one(random)).ToArray();
        }

        public static Everything Everything(Random random, Parcel[] parcels)
        {
            var bytes = new byte[random.Next(1, 40)];
            random.NextBytes(bytes);
            var e = new Everything
            {
                SByte = (sbyte)random.Next(-128, 128), Byte = (byte)random.Next(256),
                Short = (short)random.Next(-32768, 32768), UShort = (ushort)random.Next(65536),
                Int = random.Next() - (1 << 30), UInt = (uint)random.Next() * 2,
                Long = -((long)random.Next() << 31), ULong = ulong.MaxValue - (ulong)random.Next(),
                Float = (float)random.NextDouble(), Double = random.NextDouble() * 1e30,
                Char = (char)random.Next(0x4e00, 0x9fff), Text = Text(random),
                BoxedInt = random.Next(), BoxedEnum = AnyCarrier(random), BoxedPlace = AnyPlace(random),
                Some = random.Next(), Marks = Marks.Cold | Marks.Secret, Place = AnyPlace(random),
                Ints = Several(random, r => r.Next()), Strings = Several(random, Text), Bytes = bytes,
                Places = Several(random, AnyPlace),
                Objects = new object[] { random.Next(), Text(random), null, AnyCarrier(random), parcels[0] },
                List = Several(random, r => r.Next()).ToList(), Words = Several(random, Text).ToList(),
                Set = new HashSet<string>(Several(random, Text)),
                Names = new Dictionary<int, string>(),
                Stock = new ConcurrentDictionary<string, int>(),
                Lid = new Crate<Dictionary<string, int>>.Lid<Parcel>
                {
                    Under = new Dictionary<string, int> { [Text(random)] = random.Next() },
                    Over = parcels[random.Next(parcels.Length)]
                }
            };
            foreach (string text in Several(random, Text)) e.Stock[text] = random.Next();
            foreach (int i in Several(random, r => r.Next())) e.Names[i] = Text(random);
            e.Names.Remove(e.Names.Keys.First());
            e.Set.Remove(e.Set.First());
            e.List.RemoveAt(0);
            return e;
        }
    }

    // Values as JSON.
    static class Say
    {
        public static void Line(string what, params (string, object)[] members)
        {
            var text = new StringBuilder("{\"what\": ").Append(Quote(what));
            foreach (var (name, value) in members) text.Append(", ").Append(Quote(name)).Append(": ").Append(Plain(value));
            Console.Out.WriteLine(text.Append('}'));
        }

        static string Plain(object value)
        {
            switch (value)
            {
                case null: return "null";
                case bool flag: return flag ? "true" : "false";
                case string text: return Quote(text);
                case char c: return Quote(c.ToString());
                case float f: return f.ToString("R", CultureInfo.InvariantCulture);
                case double d: return d.ToString("R", CultureInfo.InvariantCulture);
                case StringBuilder json: return json.ToString();
                default: return Convert.ToString(value, CultureInfo.InvariantCulture);
            }
        }

        static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char c in text)
            {
                if (c < ' ' || c > '~' || c == '"' || c == '\\') quoted.Append("\\u").Append(((int)c).ToString("x4"));
                else quoted.Append(c);
            }
            return quoted.Append('"').ToString();
        }

        static bool IsPlain(Type type)
        {
            return (type.IsPrimitive && type != typeof(IntPtr)) || type == typeof(string);
        }

        static string Items(IEnumerable items, Func<object, string> one)
        {
            return "[" + string.Join(", ", items.Cast<object>().Select(one)) + "]";
        }

        // As it stands in a field of that type.
        static string Value(object value, Type type)
        {
            if (value == null) return "null";
            Type own = value.GetType();
            if (own.IsValueType && !type.IsValueType)
                return "{\"boxed\": " + Quote(own.ToString()) + ", \"value\": " + Value(value, own) + "}";
            if (IsPlain(own)) return Plain(value);
            if (own.IsEnum)
                return "{\"enum\": " + Quote(value.ToString()) + ", \"value\": " + ((Enum)value).ToString("D") + "}";
            if (value is IDictionary entries)
                return "{\"entries\": " + Items(entries.Keys, k => "[" + Value(k, k.GetType()) + ", " +
                    Value(entries[k], entries[k]?.GetType()) + "]") + "}";
            if (value is IEnumerable items && (own.IsArray || own.IsGenericType))
            {
                Type element = own.IsArray ? own.GetElementType() : own.GetGenericArguments()[0];
                return "{\"items\": " + Items(items, i => Value(i, element)) + "}";
            }
            if (own.IsValueType)
                return "{\"struct\": " + Quote(own.ToString()) + ", \"fields\": " + Fields(value, own) + "}";
            return "{\"ref\": " + Quote(own.ToString()) + "}";
        }

        static StringBuilder Fields(object value, Type type)
        {
            const BindingFlags own = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            var text = new StringBuilder("{");
            for (Type t = type; t != null && t != typeof(object) && t != typeof(ValueType); t = t.BaseType)
            {
                foreach (FieldInfo field in t.GetFields(own | (value == null ? BindingFlags.Static : BindingFlags.Instance)))
                {
                    if (text.Length > 1) text.Append(", ");
                    text.Append(Quote(field.Name)).Append(": ").Append(Value(field.GetValue(value), field.FieldType));
                }
                if (value == null) break;
            }
            return text.Append('}');
        }

        public static void Object(object value)
        {
            Line("object", ("type", value.GetType().ToString()), ("fields", Fields(value, value.GetType())));
        }

        public static void Statics(Type type)
        {
            Line("statics", ("type", type.ToString()), ("fields", Fields(null, type)));
        }

        // IL offsets of "call" with that method's token (ECMA-335, III.3.19).
        static IEnumerable<int> Calls(MethodBase method, MethodBase called)
        {
            byte[] il = method.GetMethodBody().GetILAsByteArray();
            return Enumerable.Range(0, Math.Max(0, il.Length - 4)).Where(i =>
                called != null && il[i] == 0x28 && BitConverter.ToInt32(il, i + 1) == called.MetadataToken);
        }

        // Of the thread that calls.
        public static void Stack()
        {
            var frames = new StringBuilder("[");
            MethodBase inner = null;
            foreach (StackFrame frame in new StackTrace(2).GetFrames())
            {
                MethodBase method = frame.GetMethod();
                if (method?.DeclaringType?.Namespace != typeof(Say).Namespace) continue;
                string parameters = string.Join(", ", method.GetParameters().Select(p => p.ParameterType.ToString()));
                if (frames.Length > 1) frames.Append(", ");
                frames.Append("{\"method\": ").Append(Quote(method.DeclaringType + "." + method.Name + "(" + parameters + ")"))
                    .Append(", \"calls\": [").Append(string.Join(", ", Calls(method, inner))).Append("]}");
                inner = method;
            }
            Line("stack", ("thread", Thread.CurrentThread.Name), ("frames", frames.Append(']')));
        }

        public static void Count(Type type, int objects)
        {
            Line("count", ("type", type.ToString()), ("objects", objects));
        }
    }

    // Threads that stand: two in a deadlock, one in Task.Wait, one in a catch, some idle.
    static class Threads
    {
        static readonly StockLock_TAG Stock = new StockLock_TAG();
        static readonly LedgerLock_TAG Page = new LedgerLock_TAG();
        static readonly ShelfLock_TAG Shelf = new ShelfLock_TAG();
        static readonly CountdownEvent Held = new CountdownEvent(2);
        static readonly ManualResetEventSlim StockIsHeld = new ManualResetEventSlim();
        static readonly ManualResetEventSlim Never = new ManualResetEventSlim();
        static readonly TaskCompletionSource<int> Unanswered = new TaskCompletionSource<int>();
        static readonly List<Thread> All = new List<Thread>();
        static Task waiting;
        static int said, again;

        static void Start(string name, string does, ThreadStart body)
        {
            var thread = new Thread(body) { Name = name, IsBackground = true };
            All.Add(thread);
            thread.Start();
            Say.Line("thread", ("name", name), ("id", thread.ManagedThreadId), ("does", does));
        }

        static void SayStack()
        {
            Say.Stack();
            Interlocked.Increment(ref said);
        }

        static void EnterAgain(object held)
        {
            for (int i = 1; i < again; i++) Monitor.Enter(held);
        }

        static void TakeBoth(object first, object second)
        {
            lock (first)
            {
                EnterAgain(first);
                SayStack();
                StockIsHeld.Set();
                Held.Signal();
                Held.Wait();
                lock (second) Console.Out.WriteLine("not reached");
            }
        }

        static void TakeStockFirst() { TakeBoth(Stock, Page); }
        static void TakePageFirst() { TakeBoth(Page, Stock); }

        static void TakeStockOnly()
        {
            lock (Stock)
            {
                EnterAgain(Stock);
                SayStack();
                StockIsHeld.Set();
                Never.Wait();
            }
        }

        // Holds nothing, and does not want it before somebody pulses.
        static void SleepOnStock()
        {
            lock (Stock)
            {
                SayStack();
                Monitor.Wait(Stock);
            }
        }

        static void WaitForStock()
        {
            SayStack();
            StockIsHeld.Wait();
            lock (Stock) Console.Out.WriteLine("not reached");
        }

        // Nobody else wants it.
        static void TakeShelf(int times)
        {
            lock (Shelf)
            {
                if (times > 1) TakeShelf(times - 1);
                SayStack();
                Never.Wait();
            }
        }

        static void WaitForAnswer()
        {
            SayStack();
            Unanswered.Task.Wait();
        }

        static void Fail(string message) { throw new TimeoutException(message); }

        static void Catch(string message)
        {
            try { Fail(message); }
            catch (TimeoutException e)
            {
                Say.Line("thrown", ("thread", Thread.CurrentThread.Name), ("type", e.GetType().ToString()),
                    ("message", e.Message));
                SayStack();
                Never.Wait();
            }
        }

        static void Stand(string text, int number, Place place, Parcel[] parcels, ref long total, List<int> list)
        {
            SayStack();
            Never.Wait();
        }

        static async Task<int> AskCarrier() { return await Unanswered.Task + 1; }
        static async Task<int> PriceParcel() { return await AskCarrier() * 2; }
        static async Task ShipParcel() { await PriceParcel(); }

        static void Idle()
        {
            long total = 1;
            Stand("", 2, new Place(), null, ref total, null);
        }

        static void Allocate()
        {
            var kept = new byte[64][];
            for (int i = 0; ; i++) kept[i % kept.Length] = new byte[1000 + i % 9000];
        }

        static void SayLock(object held, string owner, int times, string waiter)
        {
            Say.Line("lock", ("type", held.GetType().ToString()), ("owner", owner), ("times", times), ("waiter", waiter));
        }

        static void StartLocks(Random random, bool healthy)
        {
            string a = "stock-" + random.Next(1000), b = "page-" + random.Next(1000);
            string c = "queue-" + random.Next(1000), d = "shelf-" + random.Next(1000);
            int times = random.Next(1, 5);
            again = random.Next(1, 4);
            Start("sleep-" + random.Next(1000), "wait", SleepOnStock);
            while (Volatile.Read(ref said) == 0) Thread.Sleep(1);
            lock (Stock) { } // free again once it sleeps
            Start(a, "lock", healthy ? (ThreadStart)TakeStockOnly : TakeStockFirst);
            if (!healthy)
            {
                Start(b, "lock", TakePageFirst);
                SayLock(Stock, a, again, b);
                SayLock(Page, b, again, a);
            }
            StockIsHeld.Wait();
            Start(c, "lock", WaitForStock);
            SayLock(Stock, a, again, c);
            Start(d, "lock", () => TakeShelf(times));
            SayLock(Shelf, d, times, null);
        }

        public static void StartAll(Random random, bool allocate, bool healthy)
        {
            Stock.Level = random.Next();
            Page.Page = random.Next();
            StartLocks(random, healthy);
            string message = Make.Text(random);
            Start("answer-" + random.Next(1000), "task", WaitForAnswer);
            Start("catch-" + random.Next(1000), "catch", () => Catch(message));
            for (int i = random.Next(2, 6); i > 0; i--) Start("idle-" + i + "-" + random.Next(1000), "idle", Idle);
            waiting = ShipParcel();
            Say.Line("await", ("method", nameof(AskCarrier)), ("by", nameof(PriceParcel)));
            Say.Line("await", ("method", nameof(PriceParcel)), ("by", nameof(ShipParcel)));
            Say.Line("await", ("method", nameof(ShipParcel)), ("by", null));
            WaitUntilAllStand();
            if (allocate) new Thread(Allocate) { Name = "garbage", IsBackground = true }.Start();
            Say.Object(Stock);
            Say.Object(Page);
        }

        static void WaitUntilAllStand()
        {
            while (Volatile.Read(ref said) < All.Count ||
                   !All.All(t => (t.ThreadState & System.Threading.ThreadState.WaitSleepJoin) != 0))
                Thread.Sleep(1);
        }
    }

    static class Program
    {
        static object[] held;

        static void KeepException(Random random)
        {
            string inner = Make.Text(random), outer = Make.Text(random);
            try
            {
                try { throw new ArgumentException(inner); }
                catch (ArgumentException e) { throw new InvalidOperationException(outer, e); }
            }
            catch (InvalidOperationException e)
            {
                Ledger.Last = e;
                Say.Line("exception", ("type", e.GetType().ToString()), ("message", outer),
                    ("inner_type", e.InnerException.GetType().ToString()), ("inner_message", inner));
            }
        }

        static void Hold(Random random)
        {
            Parcel[] parcels = Make.Parcels(random, out int fragile);
            var pallets = new Pallet[random.Next(500, 900)];
            for (int i = 0; i < pallets.Length; i++) pallets[i] = new Pallet { Weights = new int[random.Next(40)] };
            var invoices = Enumerable.Range(0, random.Next(50, 90)).Select(_ => Make.Invoice(random)).ToArray();
            var crates = Enumerable.Range(0, random.Next(50, 90)).Select(_ => new Crate<Parcel> { Content = parcels[1] }).ToArray();
            Make.Flags(random);
            Ledger.Sample = Make.Everything(random, parcels);
            Ledger.Number = random.Next();
            Ledger.Big = (long)random.Next() << 33;
            Ledger.Ratio = random.NextDouble();
            Ledger.Title = Make.Text(random);
            Ledger.Preferred = Carrier.Truck;
            for (int i = random.Next(20, 40); i > 0; i--) Ledger.Growing.Add(parcels[i]);
            held = new object[] { parcels, pallets, invoices, crates };
            Say.Count(typeof(Parcel), parcels.Length - fragile);
            Say.Count(typeof(FragileParcel), fragile);
            Say.Count(typeof(Pallet), pallets.Length);
            Say.Count(typeof(Invoice), invoices.Length);
            Say.Count(typeof(Crate<Parcel>), crates.Length);
            Say.Count(typeof(Everything), 1);
            Say.Count(typeof(FeatureFlags_TAG), 1);
            Say.Object(parcels[random.Next(parcels.Length)]);
            Say.Object(parcels.OfType<FragileParcel>().First());
            Say.Object(Ledger.Sample);
            Say.Object(Ledger.Sample.Lid);
            Say.Object(FeatureFlags_TAG.Instance);
        }

        static void Main(string[] arguments)
        {
            var output = new System.IO.StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
            Console.SetOut(output);
            int seed = int.Parse(arguments[0], CultureInfo.InvariantCulture);
            var random = new Random(seed);
            Say.Line("process", ("pid", Process.GetCurrentProcess().Id), ("version", Environment.Version.ToString()), ("seed", seed));
            KeepException(random);
            Hold(random);
            Say.Statics(typeof(Ledger));
            Threads.StartAll(random, arguments.Contains("--allocate"), arguments.Contains("--healthy"));
            // No object but those that are held.
            GC.Collect();
            output.WriteLine("ready");
            output.Flush();
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
