// The service of `make demo-dotnet`: payments fail although there is a fallback, because one of its
// feature flags is false.
//
//   Shop SEED [FILE]
//
// Prints "flag NAME true|false" for each flag, then "ready", makes FILE, and idles.
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;

namespace Shop
{
    public enum State { Open, Paid, Failed }

    public class Payment
    {
        public State State;
        public string Provider = "primary";
        public int Attempts;
    }

    public class Order
    {
        public int Number;
        public decimal Total;
        public Payment Payment = new Payment();
    }

    public class FeatureFlags
    {
        public static readonly FeatureFlags Current = new FeatureFlags();
        private readonly Dictionary<string, bool> flags = new Dictionary<string, bool>();
        public string Environment = "staging";
        public int Revision = 41;

        public bool this[string name]
        {
            get { return flags[name]; }
            set { flags[name] = value; }
        }
        public IEnumerable<KeyValuePair<string, bool>> All { get { return flags; } }
    }

    static class Program
    {
        static readonly List<Order> orders = new List<Order>();

        static void Pay(Order order)
        {
            order.Payment.Attempts++;
            order.Payment.State = FeatureFlags.Current["EnableFallback"] ? State.Paid : State.Failed;
        }

        static void Main(string[] args)
        {
            var random = new Random(int.Parse(args[0]));
            var flags = FeatureFlags.Current;
            foreach (string name in new[] { "Search", "Checkout", "Fallback", "Coupons", "Reviews" })
                flags["Enable" + name] = name != "Fallback";
            for (int i = 0; i < 100000; i++)
                orders.Add(new Order { Number = i, Total = random.Next(100, 99999) / 100m });
            foreach (Order order in orders) Pay(order);
            foreach (var flag in flags.All)
                Console.WriteLine("flag " + flag.Key + " " + (flag.Value ? "true" : "false"));
            Console.WriteLine("ready");
            if (args.Length > 1) File.WriteAllText(args[1], "");
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
