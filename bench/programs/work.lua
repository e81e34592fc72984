-- Tables, strings, closures, method calls and coroutines.
local state = 12345
local function random(limit)
    state = (state * 1103515245 + 12345) % 2147483648
    return (state >> 8) % limit
end

local Stack = {}
Stack.__index = Stack
function Stack:push(v) self[#self + 1] = v end
function Stack:pop()
    local v = self[#self]
    self[#self] = nil
    return v
end

local stack, total = setmetatable({}, Stack), 0
for i = 1, 150000 do
    stack:push(i)
    if random(3) == 0 then total = total + stack:pop() end
end
print("stack", #stack, total)

local words, counts = {}, {}
for i = 1, 20000 do
    words[i] = string.char(97 + random(26), 97 + random(26), 97 + random(26))
    counts[words[i]] = (counts[words[i]] or 0) + 1
end
table.sort(words)
print("words", words[1], words[#words // 2], counts[words[1]])
local text = table.concat(words, " ")
print("text", #text, select(2, text:gsub("%f[%w]a%w+", "")), text:upper():find("ZZ", 1, true))

local function permutations(list, n)
    n = n or #list
    if n <= 1 then coroutine.yield(list) end
    for i = 1, n do
        list[n], list[i] = list[i], list[n]
        permutations(list, n - 1)
        list[n], list[i] = list[i], list[n]
    end
end
local sum = 0
for list in coroutine.wrap(function() permutations({ 1, 2, 3, 4, 5, 6, 7, 8 }) end) do sum = sum + list[1] * list[8] end
print("permutations", sum)
