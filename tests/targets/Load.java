import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Load PAIRS: pairs of threads, of which one makes trees all the time and the other checks them,
 * keeps them until they are old, and checks them again. Prints "ready"; every 100 ms "ops COUNT
 * LOWEST NANOS", LOWEST the count of the slowest pair, NANOS those of System.nanoTime(); "FAIL ..."
 * for each violation; on SIGTERM "ok COUNT" or "failed N", exit status 0 or 1.
 */
public final class Load {
    static final int WAITING = 64, KEPT = 2000, DEPTH = 6;
    static final Tree END = new Tree(new SplittableRandom(0), 0);
    static final AtomicLong failures = new AtomicLong();
    static volatile boolean stopped;

    static void fail(String text) {
        failures.incrementAndGet();
        System.out.println("FAIL " + text);
    }

    /** Knows what its checksum was when it was made. */
    static final class Tree {
        final Tree left, right;
        final String name;
        final long[] values;
        final long sum;

        Tree(SplittableRandom random, int depth) {
            left = depth > 0 ? new Tree(random, depth - 1) : null;
            right = depth > 1 ? new Tree(random, depth - 2) : null;
            values = random.longs(random.nextInt(1, 16)).toArray();
            name = "tree " + values[0];
            sum = checksum();
        }

        long checksum() {
            long sum = 31 * name.hashCode() + Arrays.hashCode(values);
            if (left != null) sum = 31 * sum + left.checksum();
            if (right != null) sum = 31 * sum + right.checksum();
            return sum;
        }

        void check() {
            if (checksum() != sum) fail("the checksum of " + name + " was " + sum);
        }
    }

    static final class Pair {
        final BlockingQueue<Tree> queue = new ArrayBlockingQueue<>(WAITING);
        final Thread maker, checker;
        volatile long made, checked;

        Pair(int number) {
            maker = new Thread(() -> make(new SplittableRandom(number)), "maker " + number);
            checker = new Thread(this::check, "checker " + number);
            maker.start();
            checker.start();
        }

        void make(SplittableRandom random) {
            try {
                for (; !stopped; made++)
                    queue.put(new Tree(random, random.nextInt(DEPTH)));
                queue.put(END);
            } catch (InterruptedException e) {
                fail("a maker was interrupted");
            }
        }

        void check() {
            ArrayDeque<Tree> kept = new ArrayDeque<>();
            try {
                for (Tree tree; (tree = queue.take()) != END; checked++) {
                    tree.check();
                    kept.add(tree);
                    if (kept.size() > KEPT) kept.remove().check();
                }
            } catch (InterruptedException e) {
                fail("a checker was interrupted");
            }
            kept.forEach(Tree::check);
        }

        void finish() throws InterruptedException {
            maker.join();
            checker.join();
            if (made != checked) fail(made + " trees made, " + checked + " checked");
        }
    }

    static long count(Pair[] pairs) {
        return Arrays.stream(pairs).mapToLong(pair -> pair.checked).sum();
    }

    static void finish(Pair[] pairs) {
        stopped = true;
        try {
            for (Pair pair : pairs)
                pair.finish();
        } catch (InterruptedException e) {
            fail("the end was interrupted");
        }
        System.out.println(failures.get() == 0 ? "ok " + count(pairs) : "failed " + failures);
        System.out.flush();
        Runtime.getRuntime().halt(failures.get() == 0 ? 0 : 1);
    }

    public static void main(String[] args) throws InterruptedException {
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> fail(thread.getName() + ": " + e));
        Pair[] pairs = new Pair[Integer.parseInt(args[0])];
        for (int i = 0; i < pairs.length; i++)
            pairs[i] = new Pair(i);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> finish(pairs)));
        System.out.println("ready");
        for (;;) {
            Thread.sleep(100);
            long lowest = Arrays.stream(pairs).mapToLong(pair -> pair.checked).min().orElse(0);
            System.out.println("ops " + count(pairs) + " " + lowest + " " + System.nanoTime());
        }
    }
}
