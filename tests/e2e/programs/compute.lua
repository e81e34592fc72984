-- Lua: integers and floats, strings, tables, closures, coroutines.
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print("fib", fib(22))
local h = 0x811c9dc5
for i = 1, 500000 do h = (h ~ (i & 255)) * 16777619 & 0xffffffff; h = h + (h << 7) ~ (h >> 5) end
print("integers", h, math.maxinteger + 1 == math.mininteger, 7 // -2, 7 % -3, -7 // 2.0, 1 << 63, 5 // 0.0)
local x, s = 0.5, 0.0
for i = 1, 100000 do x = 3.7 * x * (1 - x); s = s + math.sqrt(x) / i + math.floor(x * 1000) + math.fmod(x, 0.3) end
print("floats", string.format("%a %a", x, s), 2^53, 1e15, 0.1, -0.0, math.tointeger(3.0), 3 | 0)
local t = {}
for i = 1, 20000 do t[i] = (i * 7919) % 20011 end
table.sort(t)
print("sort", t[1], t[10000], t[20000], #t)
local d = {}
for i = 1, 30000 do local k = "k" .. i % 701; d[k] = (d[k] or 0) + i end
local n, sum = 0, 0
for k, v in pairs(d) do n = n + 1; sum = sum + v end
print("table", n, sum, d.k7)
local text = string.rep("the quick brown fox ", 500):gsub("(%w+) (%w+)", "%2 %1")
print("string", #text, select(2, text:gsub("fox", "")), text:sub(1, 20), string.pack("<i4d", -2, 0.1):byte(1, -1))
local co = coroutine.wrap(function() for i = 1, 10000 do coroutine.yield(i * i % 97) end return -1 end)
local c = 0
for i = 1, 10001 do c = c + co() end
print("coroutine", c)
local ok, fails = 0, 0
for i = 1, 5000 do if pcall(function() if i % 3 == 0 then error({ i }) end end) then ok = ok + 1 else fails = fails + 1 end end
print("errors", ok, fails)
