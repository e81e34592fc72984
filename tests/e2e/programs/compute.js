// Runs long enough for V8's optimising compiler; the output does not depend on the machine.
'use strict';
const crypto = require('crypto');

function sieve(n) {
  const flags = new Uint8Array(n + 1);
  let count = 0;
  for (let i = 2; i <= n; i++) {
    if (flags[i]) continue;
    count++;
    for (let j = i * 2; j <= n; j += i) flags[j] = 1;
  }
  return count;
}

function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

function mandelbrot(size) {
  let inside = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const cr = 2 * x / size - 1.5, ci = 2 * y / size - 1;
      let zr = 0, zi = 0, i = 0;
      for (; i < 50 && zr * zr + zi * zi < 4; i++) {
        const t = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = t;
      }
      if (i === 50) inside++;
    }
  }
  return inside;
}

function integers(n) {
  let h = 0x811c9dc5;
  for (let i = 0; i < n; i++) {
    h = Math.imul(h ^ (i & 255), 16777619);
    h = (h << 13) | (h >>> 19);
    h = (h + ((i * 2654435761) | 0)) | 0;
    if ((i & 1023) === 0) h ^= ~~(i / 7.5) % 1000;
  }
  return h >>> 0;
}

function conversions() {
  const edge = [0, -0, 0.5, -0.5, 1.5, 2147483647, 2147483648, -2147483649, 4294967296, 4294967295.9, 1e10, -1e10, 2 ** 53, 2 ** 53 + 2,
    -(2 ** 63), 2 ** 63, 2 ** 64, 1e300, -1e300, NaN, Infinity, -Infinity, 5e-324];
  let out = [];
  for (let round = 0; round < 3000; round++) {
    out = edge.map((x) => [x | 0, x >>> 0, x << 3, ~~(x * 3), Math.round(x), Math.trunc(x), Math.fround(x), Math.sqrt(x), Math.min(x, 1),
      Math.max(x, -0), Math.clz32(x), x % 7]);
  }
  return JSON.stringify(out.map((r) => r.map((v) => (Object.is(v, -0) ? '-0' : String(v)))));
}

class Shape { area() { return 0; } }
class Square extends Shape { constructor(s) { super(); this.s = s; } area() { return this.s * this.s; } }
class Rect extends Shape { constructor(a, b) { super(); this.a = a; this.b = b; } area() { return this.a * this.b; } }

function objects(n) {
  const map = new Map();
  let total = 0;
  for (let i = 0; i < n; i++) {
    const shape = i % 3 ? new Square(i % 10) : new Rect(i % 7, i % 11);
    total += shape.area();
    map.set('k' + (i % 1000), { i, tail: [i, i + 1] });
  }
  for (const [k, v] of map) total += v.tail[1] + k.length;
  return total;
}

function* walk(n) { for (let i = 0; i < n; i++) yield i * i % 97; }

async function main() {
  console.log('sieve', sieve(500000));
  console.log('fib', fib(24));
  console.log('mandelbrot', mandelbrot(160));
  console.log('integers', integers(2000000));
  console.log('conversions', crypto.createHash('sha256').update(conversions()).digest('hex'));
  console.log('objects', objects(100000));
  let b = 1n;
  for (let i = 1n; i <= 400n; i++) b *= i;
  console.log('bigint', (b % (2n ** 127n - 1n)).toString(), b.toString().length);
  console.log('generator', [...walk(20000)].reduce((x, y) => x + y, 0));
  const f = new Float64Array(5000).map((_, i) => ((i * 7919) % 5003) / 16);
  f.sort();
  console.log('sort', f[0], f[2500], f[4999], f.reduce((x, y) => x + y));
  console.log('regexp', 'the quick brown fox '.repeat(500).replace(/(\w+) (\w+)/g, '$2 $1').match(/quick|fox/g).length);
  const text = JSON.stringify(Array.from({ length: 2000 }, (_, i) => ({ id: i, v: i / 8, s: 'x'.repeat(i % 20) })));
  console.log('json', JSON.parse(text).reduce((x, o) => x + o.v + o.s.length, 0), text.length);
  const parts = await Promise.all(Array.from({ length: 50 }, async (_, i) => { await null; return i * i; }));
  console.log('promises', parts.reduce((x, y) => x + y));
  let thrown = 0;
  for (let i = 0; i < 20000; i++) { try { if (i % 3 === 0) throw new Error('e' + i); } catch (e) { thrown += e.message.length; } }
  console.log('exceptions', thrown);
  console.log('done');
}
main();
