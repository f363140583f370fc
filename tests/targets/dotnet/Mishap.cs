// A .NET program that keeps exceptions and says of each what it knows: one JSON object a line, then
// "ready". It idles from then on.
//
//   Mishap SEED
//
// The members of a line: "what" ("exception"), "type", "message", "count" (of those that say the
// same and come from the same place), "frames" (methods of this program where it has passed,
// innermost first), "inner" (of the one inside: type and message, or null), "thread" (the name of
// the one that handles it now, or null). Wherever _TAG stands in a name, whoever compiles this puts
// letters of their own.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace Mishap_TAG
{
    public class OrderFailed_TAG : InvalidOperationException
    {
        public OrderFailed_TAG(string message, Exception inner = null) : base(message, inner) { }
    }
    public sealed class PaymentFailed : OrderFailed_TAG
    {
        public PaymentFailed(string message) : base(message) { }
    }

    static class Deep
    {
        public static void Fail(int depth, Exception exception)
        {
            if (depth == 0) throw exception;
            Fail(depth - 1, exception);
        }
    }

    class Shelf<T>
    {
        public T[] Take<U>(U key, ref int count, string text)
        {
            count++;
            throw new KeyNotFoundException(text);
        }
    }

    static class Program
    {
        static readonly List<Exception> kept = new List<Exception>();

        static string Text(Random random)
        {
            string letters = "abcäöü日本🚚\"\\";
            return string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => letters[random.Next(8)]));
        }

        static Exception Caught(Action action)
        {
            try { action(); }
            catch (Exception e) { return e; }
            return null;
        }

        static string Method(MethodBase method)
        {
            return method.DeclaringType + "." + method.Name + "(" +
                string.Join(", ", method.GetParameters().Select(p => p.ParameterType.ToString())) + ")";
        }

        static void Say(Exception e, int count = 1, string thread = null)
        {
            var frames = new StackTrace(e).GetFrames().Select(f => f.GetMethod())
                .Where(m => m?.DeclaringType?.Namespace == typeof(Program).Namespace).Select(Method);
            var inner = e.InnerException;
            // Its Message is made of those inside when it is asked for.
            string message = e is AggregateException ? "One or more errors occurred." : e.Message;
            Console.WriteLine(JsonSerializer.Serialize(new Dictionary<string, object>
            {
                { "what", "exception" }, { "type", e.GetType().ToString() }, { "message", message },
                { "count", count }, { "frames", frames.ToArray() }, { "thread", thread },
                { "inner", inner == null ? null : new[] { inner.GetType().ToString(), inner.Message } },
            }));
        }

        static async Task Ship(string text)
        {
            await Task.Yield();
            throw new OrderFailed_TAG(text);
        }

        static async Task Order(string text) { await Ship(text); }

        static void Handle(Exception exception, string name)
        {
            var there = new ManualResetEventSlim();
            new Thread(() =>
            {
                try { Deep.Fail(1, exception); }
                catch (OrderFailed_TAG)
                {
                    there.Set();
                    Thread.Sleep(Timeout.Infinite);
                }
            }) { IsBackground = true, Name = name }.Start();
            there.Wait();
        }

        static void Main(string[] args)
        {
            var random = new Random(int.Parse(args[0]));
            string text = Text(random);
            int count = random.Next(3, 50), depth = random.Next(2, 30), taken = 0;
            for (int i = 0; i < count; i++) kept.Add(Caught(() => Deep.Fail(depth, new PaymentFailed(text))));
            Say(kept[0], count);
            // Another place, another message.
            kept.Add(Caught(() => Deep.Fail(depth + 1, new PaymentFailed(text))));
            Say(kept.Last());
            kept.Add(Caught(() => Deep.Fail(depth, new PaymentFailed(text + "!"))));
            Say(kept.Last());
            kept.Add(Caught(() => Deep.Fail(0, new OrderFailed_TAG(Text(random), kept[0]))));
            Say(kept.Last());
            kept.Add(Caught(() => new Shelf<string>().Take(new Dictionary<int, bool>(), ref taken, "on the shelf")));
            Say(kept.Last());
            kept.Add(Caught(() => Order(Text(random)).Wait()));
            Say(kept.Last());
            Say(kept.Last().InnerException);
            kept.Add(new OrderFailed_TAG("first line\nsecond \x1b[31mline"));
            Say(kept.Last());
            var handled = new PaymentFailed(Text(random) + " now");
            string name = "handles-" + random.Next();
            Handle(handled, name);
            Say(handled, 1, name);
            Console.WriteLine("ready");
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
