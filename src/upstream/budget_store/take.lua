-- Takes turns of one token: the times at which its next requests may start.
--
-- KEYS[1] holds the token's record: big-endian 32-bit numbers, first the end of
-- its throttle (0 for none), then the start of each request of the window, in
-- order, those of the future too. A time is a number of ticks (40 us) of the
-- server's clock, modulo 2^32; it is read relative to now, so it may wrap.
--
-- ARGV: requests in a window, window, the time at which the check expires, the
-- latest start, how many turns. Times are in ticks.
-- Returns: status (0 expired, 1 too late, 2 taken), now, the ticks until the end
-- of the throttle, and the ticks from now until each start (status 1: the last).
local WRAP, HALF, TICKS, LONGEST = 4294967296, 2147483648, 25000, 15000000
local limit, window, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local latest, count = tonumber(ARGV[4]), tonumber(ARGV[5])

local time = redis.call('TIME')
local now = time[1] * TICKS + math.floor(time[2] / 40)
-- A check that the caller has given up runs when a frozen server goes on.
if now > expiry then
  return {0, now, 0}
end

local record = redis.call('GET', KEYS[1]) or '\0\0\0\0'
local size = #record / 4
local function at(index)
  return (struct.unpack('>I4', record, index * 4 + 1) - now + HALF) % WRAP - HALF
end

-- One that has passed is forgotten: it would be read as a future one after a day.
local throttle, header = 0, '\0\0\0\0'
if string.sub(record, 1, 4) ~= header and at(0) > 0 and at(0) <= LONGEST then
  throttle, header = at(0), string.sub(record, 1, 4)
end

local first = 1
while first < size and at(first) <= -window do
  first = first + 1
end
-- The server's clock was set back: all requests count from now on.
if first < size and at(size - 1) > 20 * window then
  header, throttle = '\0\0\0\0', 0
  record = header .. string.rep(struct.pack('>I4', now % WRAP), size - first)
  size, first = size - first + 1, 1
  redis.call('SET', KEYS[1], record, 'PX', math.ceil(window / 25) + 1000)
end

local kept, starts = size - first, {}
local function start_of(position)
  if position < kept then
    return at(first + position)
  end
  return starts[position - kept + 1]
end

for number = 1, count do
  local total = kept + number - 1
  local start = throttle
  if total > 0 then
    -- Later than the one before, so that a start names one request.
    start = math.max(start, start_of(total - 1) + 1)
  end
  if total >= limit then
    start = math.max(start, start_of(total - limit) + window)
  end
  starts[number] = start
end

local last = starts[count]
if last and now + last > latest then
  return {1, now, throttle, last}
end
if last then
  local packed = {}
  for number = 1, count do
    packed[number] = struct.pack('>I4', (now + starts[number]) % WRAP)
  end
  record = header .. string.sub(record, first * 4 + 1) .. table.concat(packed)
  redis.call('SET', KEYS[1], record, 'PX', math.ceil((last + window) / 25) + 1000)
end
local reply = {2, now, throttle}
for number = 1, count do
  reply[number + 3] = starts[number]
end
return reply
