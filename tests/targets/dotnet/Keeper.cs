// A .NET program that keeps objects alive in every way there is, and says how: one JSON object a
// line, then "ready". It idles from then on.
//
//   Keeper SEED [--many N]
//
// Numbers come from the seed; _TAG stands for letters that whoever compiles this puts there. --many:
// a tree of so many objects more. Of each type below there is one object but for Node. The lines:
//   held   an object: its type; "kind" of what holds it in the end, "root" its name (null: not said),
//          "path" the references from there on (null: not said)
//   loose  an object that nothing holds, though the collector has not taken it: its type
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Keeper_TAG
{
    // What is held: a type for each way.
    public class InList { public int Number; }
    public class InChain { }
    public class InStruct { }
    public class InMatrix { }
    public class InDictionary { }
    public class InBox { }
    public class InStaticStruct { }
    public class InBase { }
    public class ByDelegate { public void Call() { } }
    public class ByStrongHandle { }
    [StructLayout(LayoutKind.Sequential)]
    public class ByPinnedHandle { public int Number; }
    public class ByWeakHandle { }
    public class ByKey { }
    public class Key { }
    public class OnThread { }
    public class OnStack { }
    public class ByGeneric { }
    public class ByAssembly { }
    public class ByTask { public int Number; }
    public class Loose { public LooseToo Other; }
    public class LooseToo { }

    public class Node { public Node Next; public object Last; }
    public struct Inner { public long Before; public object Item; }
    public struct Slot { public string Name; public Inner Inside; public int After; }
    public class Base { public string Name; private object kept; public Base(object o) { kept = o; } }
    public class Derived : Base { public int Number; public Derived(object o) : base(o) { } }
    public class Cache<T> { public static object Kept; }
    public class Tree { public Tree Left, Right; public byte[] Leaf; }

    public class Blocker
    {
        public static readonly ManualResetEventSlim Begun = new ManualResetEventSlim(), Never = new ManualResetEventSlim();
        ~Blocker() { Begun.Set(); Never.Wait(); }
    }
    public class ToBeFinalized
    {
        public object Kept;
        public ToBeFinalized(object o) { Kept = o; }
        ~ToBeFinalized() { }
    }
    public class ByFinalizer { }

    static class Shelf
    {
        public static List<InList> List = new List<InList>();
        public static Node Chain;
        public static Slot[] Slots;
        public static object[,] Matrix;
        public static Dictionary<int, InDictionary> Dictionary = new Dictionary<int, InDictionary>();
        public static object Boxed;
        public static Inner Struct;
        public static Derived Derived;
        public static Action Delegate;
        public static Key Key = new Key();
        public static ConditionalWeakTable<Key, ByKey> Table = new ConditionalWeakTable<Key, ByKey>();
        public static Cache<int> Cache = new Cache<int>();
        public static object OfAssembly;
        public static TaskCompletionSource<int> Unanswered = new TaskCompletionSource<int>();
        public static Task Waiting;
        public static Tree Many;
        [ThreadStatic] public static object PerThread;
    }

    static class Program
    {
        const MethodImplOptions Apart = MethodImplOptions.NoInlining;
        static readonly ManualResetEventSlim Never = new ManualResetEventSlim();
        static readonly CountdownEvent Standing = new CountdownEvent(2);
        static readonly StringBuilder Output = new StringBuilder();
        static IntPtr strong, pinned, weak; // numbers: nothing that the collector follows

        static string Quote(string text) { return text == null ? "null" : "\"" + text + "\""; }

        static void Held(Type type, string kind, string root, params string[] path)
        {
            string steps = path == null ? "null" : "[" + string.Join(", ", path.Select(Quote)) + "]";
            Output.Append("{\"what\": \"held\", \"type\": " + Quote(type.ToString()) + ", \"kind\": " + Quote(kind) +
                ", \"root\": " + Quote(root) + ", \"path\": " + steps + "}\n");
        }

        static void Static(Type type, string field, params string[] path)
        {
            Held(type, "static", "static Keeper_TAG.Shelf." + field, path);
        }

        [MethodImpl(Apart)]
        static void ByFields(Random random)
        {
            int count = random.Next(20, 60), at = random.Next(count);
            for (int i = 0; i < count; i++) Shelf.List.Add(i == at ? new InList() : null);
            Static(typeof(InList), "List", "._items", "[" + at + "]");

            int length = random.Next(30, 90);
            Shelf.Chain = new Node();
            Node last = Shelf.Chain;
            for (int i = 1; i < length; i++) last = last.Next = new Node();
            last.Last = new InChain();
            Static(typeof(InChain), "Chain", Enumerable.Repeat(".Next", length - 1).Append(".Last").ToArray());

            Shelf.Slots = new Slot[random.Next(500, 6000)];
            at = random.Next(Shelf.Slots.Length);
            Shelf.Slots[at].Inside.Item = new InStruct();
            Static(typeof(InStruct), "Slots", "[" + at + "].Inside.Item");

            int rows = random.Next(2, 9), columns = random.Next(2, 9), row = random.Next(rows), column = random.Next(columns);
            Shelf.Matrix = new object[rows, columns];
            Shelf.Matrix[row, column] = new InMatrix();
            Static(typeof(InMatrix), "Matrix", "[" + row + "," + column + "]");

            count = random.Next(5, 40);
            at = random.Next(count);
            for (int i = 0; i < count; i++) Shelf.Dictionary[i * 7] = i == at ? new InDictionary() : null;
            Static(typeof(InDictionary), "Dictionary", "._entries", "[" + at + "].value");

            Shelf.Boxed = new Slot { Inside = new Inner { Item = new InBox() } };
            Static(typeof(InBox), "Boxed", ".Inside.Item");
            Shelf.Struct = new Inner { Item = new InStaticStruct() };
            Static(typeof(InStaticStruct), "Struct", ".Item");
            Shelf.Derived = new Derived(new InBase());
            Static(typeof(InBase), "Derived", ".kept");
            Shelf.Delegate = new ByDelegate().Call;
            Static(typeof(ByDelegate), "Delegate", "._target");
            Cache<int>.Kept = new ByGeneric();
            if (Environment.Version.Major >= 5)
                Held(typeof(ByGeneric), "static", "static Keeper_TAG.Cache`1[System.Int32].Kept");
            else
                Held(typeof(ByGeneric), "handle", null, null);
        }

        [MethodImpl(Apart)]
        static void ByHandles()
        {
            strong = GCHandle.ToIntPtr(GCHandle.Alloc(new ByStrongHandle()));
            Held(typeof(ByStrongHandle), "handle", "strong handle 0x" + strong.ToString("x"));
            pinned = GCHandle.ToIntPtr(GCHandle.Alloc(new ByPinnedHandle(), GCHandleType.Pinned));
            // The lowest bit says that it is pinned.
            Held(typeof(ByPinnedHandle), "handle", "pinned handle 0x" + (pinned.ToInt64() & ~1L).ToString("x"));
            Shelf.Table.Add(Shelf.Key, new ByKey());
            Held(typeof(ByKey), "static", "static Keeper_TAG.Shelf.Key", "kept by dependent handle");
        }

        static async Task<int> Wait(ByTask o)
        {
            await Shelf.Unanswered.Task;
            return o.Number;
        }

        static void Stand()
        {
            Deep(20, () => Shelf.PerThread = new OnThread());
            Standing.Signal();
            Never.Wait();
        }

        [MethodImpl(Apart)]
        static void HoldOnStack_TAG()
        {
            var local = new OnStack();
            Standing.Signal();
            Never.Wait();
            GC.KeepAlive(local);
        }

        // A type of an assembly that can be unloaded, and what a static of it holds.
        [MethodImpl(Apart)]
        static void ByCollectible()
        {
            var assembly = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName("Passing_TAG"), AssemblyBuilderAccess.RunAndCollect);
            TypeBuilder type = assembly.DefineDynamicModule("Passing_TAG").DefineType("Passing_TAG", TypeAttributes.Public);
            type.DefineField("Kept", typeof(object), FieldAttributes.Public | FieldAttributes.Static);
            Type made = type.CreateType();
            made.GetField("Kept").SetValue(null, new ByAssembly());
            Shelf.OfAssembly = Activator.CreateInstance(made);
        }

        [MethodImpl(Apart)]
        static void MakeBlocker() { new Blocker(); }

        [MethodImpl(Apart)]
        static void MakeToBeFinalized() { new ToBeFinalized(new ByFinalizer()); }

        // What the compiler leaves in a frame's slots is of the frames below, which end.
        [MethodImpl(Apart)]
        static void Deep(int depth, Action what)
        {
            if (depth == 0) what();
            else Deep(depth - 1, what);
        }

        [MethodImpl(Apart)]
        static void Collect()
        {
            for (int i = 0; i < 3; i++) GC.Collect();
        }

        static Tree Grow(long count)
        {
            if (count <= 0) return null;
            var tree = new Tree();
            if (count % 8 == 1) tree.Leaf = new byte[count % 40];
            tree.Left = Grow((count - 1) / 2);
            tree.Right = Grow(count - 1 - (count - 1) / 2);
            return tree;
        }

        static void Main(string[] arguments)
        {
            var random = new Random(int.Parse(arguments[0], CultureInfo.InvariantCulture));
            Deep(20, () => ByFields(random));
            Deep(20, ByHandles);
            Deep(20, ByCollectible);
            Held(typeof(ByAssembly), "static", "static Keeper_TAG.Shelf.OfAssembly", null);
            Deep(20, () => Shelf.Waiting = Wait(new ByTask()));
            Held(typeof(ByTask), "static", null, null);
            new Thread(Stand) { IsBackground = true }.Start();
            new Thread(HoldOnStack_TAG) { IsBackground = true }.Start();
            Standing.Wait();
            Held(typeof(OnThread), Environment.Version.Major >= 9 ? "thread static" : "handle", null, null);
            Held(typeof(OnStack), "stack", "HoldOnStack_TAG");
            if (arguments.Length > 2) Shelf.Many = Grow(long.Parse(arguments[2], CultureInfo.InvariantCulture));
            Deep(20, MakeBlocker);
            Collect();
            Blocker.Begun.Wait();
            Deep(20, MakeToBeFinalized);
            Collect();
            Held(typeof(ByFinalizer), "finalizer", "queue of the finalizer", ".Kept");
            Deep(20, () => weak = GCHandle.ToIntPtr(GCHandle.Alloc(new ByWeakHandle(), GCHandleType.Weak)));
            Deep(20, () => new Loose { Other = new LooseToo() });
            foreach (var type in new[] { typeof(ByWeakHandle), typeof(Loose), typeof(LooseToo) })
                Output.Append("{\"what\": \"loose\", \"type\": " + Quote(type.ToString()) + "}\n");
            Console.Out.Write(Output.ToString());
            Console.Out.WriteLine("ready");
            Console.Out.Flush();
            Never.Wait();
        }
    }
}
