"""What Python programs do all day: dictionaries, strings, classes, generators, sorting, JSON, regular expressions."""
import json
import re


class Account:
    def __init__(self, name):
        self.name = name
        self.balance = 0

    def book(self, amount):
        self.balance += amount
        return self.balance


def numbers(count, state=12345):
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2147483648
        yield state >> 8


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    count = 0
    free = ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        count += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


accounts = {}
for n in numbers(30000):
    name = f"account-{n % 997}"
    if name not in accounts:
        accounts[name] = Account(name)
    accounts[name].book(n % 2001 - 1000)
print(len(accounts), sum(a.balance for a in accounts.values()))

words = ["".join(chr(97 + (n >> shift) % 26) for shift in (0, 5, 10, 15)) for n in numbers(12000)]
counts = {}
for word in words:
    counts[word[:2]] = counts.get(word[:2], 0) + 1
print(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5])

text = json.dumps([{"id": i, "word": w, "tags": [w[:1], w[-1:]]} for i, w in enumerate(words)])
print(len(text), sum(len(item["word"]) for item in json.loads(text)))
print(len(re.findall(r'"([a-m]+)[n-z]"', text)), re.sub(r"[aeiou]+", "-", text)[:60])
print(queens(7))
