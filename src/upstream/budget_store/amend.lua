-- Corrects the record of one token (see take.lua): throttles it, removes starts
-- of requests that were not sent, adds starts of requests that were. Each of it
-- may be repeated without another effect.
--
-- ARGV: window, the time until which the token is throttled (0 for none), how many
-- starts to remove, those, then those to add; starts are ticks of the server's
-- clock. Returns: now.
local WRAP, HALF, TICKS, LONGEST = 4294967296, 2147483648, 25000, 15000000
local window, until_, removed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
local now = time[1] * TICKS + math.floor(time[2] / 40)
local record = redis.call('GET', KEYS[1]) or '\0\0\0\0'
local function at(index)
  return (struct.unpack('>I4', record, index * 4 + 1) - now + HALF) % WRAP - HALF
end

local throttle = until_ > 0 and math.min(until_ - now, LONGEST) or 0
if string.sub(record, 1, 4) ~= '\0\0\0\0' and at(0) <= LONGEST then
  throttle = math.max(throttle, at(0))
end

local gone = {}
for index = 4, 3 + removed do
  gone[tonumber(ARGV[index]) - now] = true
end
local starts, known = {}, {}
for index = 1, #record / 4 - 1 do
  local start = at(index)
  if start > -window and not gone[start] then
    starts[#starts + 1] = start
    known[start] = true
  end
end
for index = 4 + removed, #ARGV do
  local start = tonumber(ARGV[index]) - now
  if start > -window and not known[start] then
    starts[#starts + 1] = start
    known[start] = true
  end
end
table.sort(starts)

if #starts == 0 and throttle <= 0 then
  redis.call('DEL', KEYS[1])
  return {now}
end
local packed = {'\0\0\0\0'}
if throttle > 0 then
  packed[1] = struct.pack('>I4', math.max(1, (now + throttle) % WRAP))
end
for index, start in ipairs(starts) do
  packed[index + 1] = struct.pack('>I4', (now + start) % WRAP)
end
local last = math.max(throttle, (starts[#starts] or -window) + window)
redis.call('SET', KEYS[1], table.concat(packed), 'PX', math.ceil(last / 25) + 1000)
return {now}
