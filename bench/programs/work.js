// Long enough for V8's optimising compiler: classes, maps, typed arrays, closures, strings.
'use strict';

let state = 12345;
function random(limit) {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return (state >>> 8) % limit;
}

class Node {
  constructor(key) { this.key = key; this.left = null; this.right = null; }
}

function insert(root, key) {
  for (let node = root; ;) {
    const side = key < node.key ? 'left' : 'right';
    if (!node[side]) { node[side] = new Node(key); return; }
    node = node[side];
  }
}

function depth(node) { return node ? 1 + Math.max(depth(node.left), depth(node.right)) : 0; }

const root = new Node(500000);
for (let i = 0; i < 40000; i++) insert(root, random(1000000));
console.log('tree', depth(root));

const life = new Uint8Array(256 * 256);
for (let i = 0; i < life.length; i++) life[i] = random(2);
for (let step = 0; step < 30; step++) {
  const old = life.slice();
  for (let y = 0; y < 256; y++) {
    for (let x = 0; x < 256; x++) {
      let n = 0;
      for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) n += old[((y + dy) & 255) << 8 | ((x + dx) & 255)];
      const at = y << 8 | x;
      life[at] = n === 3 || (n === 4 && old[at]) ? 1 : 0;
    }
  }
}
console.log('life', life.reduce((a, b) => a + b));

const counts = new Map();
for (let i = 0; i < 60000; i++) {
  const word = String.fromCharCode(97 + random(26), 97 + random(26), 97 + random(26));
  counts.set(word, (counts.get(word) || 0) + 1);
}
const words = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
console.log('words', words.length, words[0].join(' '));
const text = JSON.stringify(words);
console.log('json', JSON.parse(text).length, text.length, text.replace(/[aeiou]/g, '').length);
