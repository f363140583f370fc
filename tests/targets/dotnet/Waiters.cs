// A .NET program full of async methods that wait: one JSON object a line for each kind of stack that
// no thread has, then "ready". It idles from then on.
//
//   Waiters SEED
//
// The members of a line: "what" ("async"), "count" (how many such stacks), "methods" (innermost
// first; numbers that the compiler makes are left out), "awaits" (type of what the innermost waits
// for), "then" (type of what continues after the outermost, null, or "circle": they await each
// other; "+": a type of the library that changes from version to version). Wherever _TAG stands in a name, whoever compiles this puts letters of their
// own.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace Waiters_TAG
{
    class Store<T>
    {
        readonly TaskCompletionSource<T> answer = new TaskCompletionSource<T>();
        public Task<T> Answer { get { return answer.Task; } }
        public async Task<T> Load() { return await answer.Task; }
        public async Task<U> Map<U>(Func<T, U> map) { return map(await Load()); }
    }

    static class Program
    {
        static readonly List<Task> kept = new List<Task>();
        static readonly Store<string> store = new Store<string>();

        static async Task Nap() { await Task.Delay(TimeSpan.FromDays(1)); }
        static async ValueTask<int> Doze() { await Nap().ConfigureAwait(false); return 1; }
        static async Task<int> Sleep() { await Task.Yield(); return await Doze() + 1; }

        static async Task<int> Several()
        {
            await Task.CompletedTask;
            int first = await Task.FromResult(1);
            var all = await Task.WhenAll(store.Map(text => text.Length), Task.FromResult(2));
            return first + all.Sum();
        }

        static async Task Done() { await Task.Yield(); }
        static async Task Failed() { await Task.Yield(); throw new InvalidOperationException(); }
        static async Task Shared(Task task) { await task; }

        static void Say(int count, string awaits, string then, params string[] methods)
        {
            Console.WriteLine(JsonSerializer.Serialize(new Dictionary<string, object>
            {
                { "what", "async" }, { "count", count }, { "awaits", awaits }, { "then", then },
                { "methods", methods.Select(method => typeof(Program).Namespace + "." + method).ToArray() }
            }));
        }

        static T Keep<T>(T task) where T : Task
        {
            kept.Add(task);
            return task;
        }

        static void Main(string[] args)
        {
            var random = new Random(int.Parse(args[0]));
            string delay = Task.Delay(100000000).GetType().ToString(), text = typeof(Task<string>).ToString();
            int naps = random.Next(3, 40), sleeps = random.Next(50, 90), shared = random.Next(2, 9);
            for (int i = 0; i < naps; i++) Keep(Nap());
            Say(naps, delay, null, "Program.Nap");
            for (int i = 0; i < sleeps; i++) Keep(Sleep());
            Say(sleeps, delay, null, "Program.Nap", "Program.Doze", "Program.Sleep");
            Keep(Several());
            Say(1, text, null, "Store`1.Load", "Store`1.Map", "Program.Several");
            // One that several await.
            Task one = Keep(Nap());
            for (int i = 0; i < shared; i++) Keep(Shared(one));
            Say(shared, delay, null, "Program.Nap", "Program.Shared");
            // What has ended is none.
            for (int i = 0; i < 20; i++) Task.WaitAny(Keep(Done()), Keep(Failed()));
            foreach (Task task in kept.Skip(kept.Count - 40)) Task.WaitAny(task);
            Func<Task> lambda = async () => await store.Answer;
            Keep(lambda());
            Say(1, text, null, "Program+<>c.<Main>b__");
            async Task Local() { await store.Answer; }
            Keep(Local());
            Say(1, text, null, "Program.<Main>g__Local|");
            // A thread that blocks for it.
            Task waited = Keep(store.Load());
            var waiter = new Thread(() => waited.Wait()) { IsBackground = true };
            waiter.Start();
            Say(1, text, "System.Threading.Tasks.Task+SetOnInvokeMres", "Store`1.Load");
            // Something else goes on after it.
            Task before = Keep(Nap());
            Keep(before.ContinueWith(task => { }));
            Say(1, delay, "+", "Program.Nap");
            // A circle: each awaits what the other has returned.
            var source = new TaskCompletionSource<Task>();
            async Task Circle(Task<Task> other) { await await other; }
            Task left = Keep(Circle(source.Task)), right = Keep(Circle(Task.FromResult(left)));
            source.SetResult(right);
            Say(1, left.GetType().ToString(), "circle", "Program.<Main>g__Circle|", "Program.<Main>g__Circle|");
            // Until the thread stands in Wait().
            while (waiter.ThreadState != (ThreadState.Background | ThreadState.WaitSleepJoin)) Thread.Sleep(1);
            Console.WriteLine("ready");
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
