-- Confirms a turn of one token just before its request starts, which may have waited
-- for a minute: requests before it may have started later than their turns, and the
-- token may be throttled.
--
-- KEYS[1] as in take.lua. ARGV: requests in a window, window, the time at which the
-- check expires, the turn in ticks (-1 for none: a new one is taken).
-- Returns: status (0 expired, 2 confirmed), now, the ticks until the end of the
-- throttle, and the ticks from now until the start, which is a new turn if it is
-- another than before.
local WRAP, HALF, TICKS, LONGEST = 4294967296, 2147483648, 25000, 15000000
local limit, window, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local turn = tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * TICKS + math.floor(time[2] / 40)
if now > expiry then
  return {0, now, 0}
end

local record = redis.call('GET', KEYS[1]) or '\0\0\0\0'
local function at(index)
  return (struct.unpack('>I4', record, index * 4 + 1) - now + HALF) % WRAP - HALF
end
local throttle = 0
if string.sub(record, 1, 4) ~= '\0\0\0\0' and at(0) > 0 and at(0) <= LONGEST then
  throttle = at(0)
end

local starts, own = {}, nil
for index = 1, #record / 4 - 1 do
  local start = at(index)
  if start > -window then
    starts[#starts + 1] = start
    if turn >= 0 and start == turn - now then
      own = #starts
    end
  end
end

local start
if own then
  start = starts[own]
  local before = starts[own - limit]
  if (not before or before + window <= math.max(start, 0)) and throttle <= math.max(start, 0) then
    return {2, now, throttle, start}
  end
  table.remove(starts, own)
  start = math.max(start, before and before + window or start)
else
  local before = starts[#starts - limit + 1]
  start = math.max(0, before and before + window or 0)
end
start = math.max(start, throttle)
-- Unique, and behind those that start at the same time.
local place = #starts + 1
while place > 1 and starts[place - 1] >= start do
  if starts[place - 1] == start then
    start, place = start + 1, #starts + 2
  end
  place = place - 1
end
table.insert(starts, place, start)

local packed = {'\0\0\0\0'}
if throttle > 0 then
  packed[1] = string.sub(record, 1, 4)
end
for index, each in ipairs(starts) do
  packed[index + 1] = struct.pack('>I4', (now + each) % WRAP)
end
redis.call('SET', KEYS[1], table.concat(packed), 'PX', math.ceil((starts[#starts] + window) / 25) + 1000)
return {2, now, throttle, start}
