// Runs long enough for HotSpot's C2; the output does not depend on the machine.
import java.math.BigInteger;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class Compute {
    interface Shape { int area(); }
    record Square(int s) implements Shape { public int area() { return s * s; } }
    record Rect(int a, int b) implements Shape { public int area() { return a * b; } }

    static int sieve(int n) {
        boolean[] flags = new boolean[n + 1];
        int count = 0;
        for (int i = 2; i <= n; i++) {
            if (flags[i]) continue;
            count++;
            for (int j = i * 2; j <= n; j += i) flags[j] = true;
        }
        return count;
    }

    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

    static long integers(int n) {
        long h = 1125899906842597L;
        for (int i = 0; i < n; i++) {
            h = 31 * h + (i ^ (h >>> 17));
            h = Long.rotateLeft(h, 13) + Long.bitCount(h) + Long.numberOfLeadingZeros(h | 1) + Math.multiplyHigh(h, i * 2654435761L);
            if ((i & 7) == 0) h += (h / (i + 3)) ^ (h % (i + 5));
        }
        return h;
    }

    static double floats(int n) {
        double x = 0.5, sum = 0;
        for (int i = 1; i <= n; i++) {
            x = 3.7 * x * (1 - x);
            sum += Math.sqrt(x) / i + Math.fma(x, x, -0.25) + (float) x + (int) (x * 1000) + Math.rint(x * 10) + Math.floor(-x);
        }
        return sum;
    }

    static String conversions() {
        double[] edge = {0, -0.0, 0.5, -1.5, 2147483647.5, -2147483649.0, 4294967296.0, 1e10, 9.3e18, -9.3e18, 1e300, Double.NaN,
            Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.MIN_VALUE};
        String s = "";
        for (int round = 0; round < 2000; round++) {
            StringBuilder b = new StringBuilder();
            for (double d : edge)
                b.append((int) d).append((long) d).append((float) d).append((short) d).append(Math.round(d)).append(Math.min(d, -0.0)).append(Math.max(d, 0.0)).append(d % 7);
            s = b.toString();
        }
        return Integer.toHexString(s.hashCode()) + " " + s.length();
    }

    static int arrays() {
        int[] a = new int[4099], b = new int[4099];
        byte[] c = new byte[4099];
        int total = 0;
        for (int round = 0; round < 300; round++) {
            for (int i = 0; i < a.length; i++) { a[i] = i * round; c[i] = (byte) (i ^ round); }
            for (int i = 0; i < a.length; i++) b[i] = a[i] * 3 + (c[i] & 15) - (a[i] >> 2);
            System.arraycopy(b, 3, a, 1, 4000);
            total += Arrays.hashCode(a) ^ Arrays.hashCode(c);
        }
        return total;
    }

    public static void main(String[] args) throws Exception {
        System.out.println("sieve " + sieve(1000000));
        System.out.println("fib " + fib(27));
        System.out.println("integers " + integers(2000000));
        System.out.println("floats " + Double.toHexString(floats(1000000)));
        System.out.println("conversions " + conversions());
        System.out.println("arrays " + arrays());
        int total = 0;
        for (int i = 0; i < 500000; i++) total += (i % 3 == 0 ? new Square(i % 10) : new Rect(i % 7, i % 11)).area();
        System.out.println("objects " + total);
        BigInteger big = BigInteger.ONE;
        for (int i = 1; i <= 600; i++) big = big.multiply(BigInteger.valueOf(i));
        System.out.println("bigint " + big.mod(BigInteger.TWO.pow(127).subtract(BigInteger.ONE)) + " " + big.toString().length());
        Map<String, Integer> map = new TreeMap<>();
        for (int i = 0; i < 50000; i++) map.merge("k" + i % 503, i, Integer::sum);
        System.out.println("map " + map.hashCode());
        System.out.println("stream " + IntStream.range(0, 200000).parallel().filter(i -> i % 7 == 3).mapToLong(i -> (long) i * i).sum());
        ExecutorService pool = Executors.newFixedThreadPool(4);
        LongAdder adder = new LongAdder();
        AtomicLong atomic = new AtomicLong();
        List<Future<Long>> parts = new ArrayList<>();
        for (int t = 0; t < 8; t++) {
            final int id = t;
            parts.add(pool.submit(() -> {
                long s = 0;
                for (int i = 0; i < 20000; i++) { adder.add(i); atomic.addAndGet(id); synchronized (map) { s += map.size() + id; } }
                return s;
            }));
        }
        long sum = 0;
        for (Future<Long> f : parts) sum += f.get();
        pool.shutdown();
        System.out.println("threads " + sum + " " + adder.sum() + " " + atomic.get());
        byte[] digest = java.security.MessageDigest.getInstance("SHA-256").digest(new byte[200000]);
        System.out.println("sha256 " + new BigInteger(1, digest).toString(16));
        java.util.zip.CRC32 crc = new java.util.zip.CRC32();
        crc.update(new byte[100003]);
        System.out.println("crc32 " + crc.getValue());
        int thrown = 0;
        for (int i = 0; i < 50000; i++) {
            try { int[] a = new int[i % 5]; a[i % 7] = 1; Object o = i % 11 == 0 ? null : "x"; thrown += o.hashCode() & 1; }
            catch (ArrayIndexOutOfBoundsException e) { thrown += 3; }
            catch (NullPointerException e) { thrown += 5; }
        }
        System.out.println("exceptions " + thrown);
    }
}
