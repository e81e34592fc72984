/* A JVM's numeric code: matrices of doubles, a sieve of relaxations, hashes of ints and longs. */
public class Numbers {
    static double product(int n) {
        double[][] a = new double[n][n], b = new double[n][n], c = new double[n][n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                a[i][j] = i % 7 + j % 5;
                b[i][j] = i % 3 - j % 11;
            }
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n; k++)
                for (int j = 0; j < n; j++)
                    c[i][j] += a[i][k] * b[k][j];
        double sum = 0;
        for (double[] row : c)
            for (double x : row)
                sum += x;
        return sum;
    }

    static double relax(int n, int rounds) {
        double[][] g = new double[n][n];
        for (int i = 0; i < n; i++)
            g[i][0] = i;
        for (int r = 0; r < rounds; r++)
            for (int i = 1; i < n - 1; i++)
                for (int j = 1; j < n - 1; j++)
                    g[i][j] = 0.3 * (g[i - 1][j] + g[i + 1][j] + g[i][j - 1] + g[i][j + 1]) - 0.2 * g[i][j];
        return g[n / 2][1];
    }

    static long mix(int rounds) {
        long h = 1125899906842597L;
        for (int i = 0; i < rounds; i++)
            h = 31 * h + (i ^ (h >>> 7));
        return h;
    }

    public static void main(String[] args) {
        System.out.println(product(160) + " " + String.format("%.6f", relax(100, 150)) + " " + mix(3000000));
    }
}
