-- The beginning of each script: the server's time, and the record of one token.
--
-- KEYS[1] holds the record: big-endian 32-bit numbers, first the end of the token's
-- throttle (0 for none), then the start of each request of the window, in order,
-- those of the future too. A time is a number of ticks (40 us) of the server's clock,
-- modulo 2^32; it is read relative to now, so it may wrap.
local WRAP, HALF, TICKS, LONGEST = 4294967296, 2147483648, 25000, 15000000
local NONE = '\0\0\0\0'

local time = redis.call('TIME')
local now = time[1] * TICKS + math.floor(time[2] / 40)
local record = redis.call('GET', KEYS[1]) or NONE

-- The ticks from now until a time of the record.
local function at(index)
  return (struct.unpack('>I4', record, index * 4 + 1) - now + HALF) % WRAP - HALF
end

local function packed(ticks)
  return struct.pack('>I4', (now + ticks) % WRAP)
end

-- Stores the record until `last`, in ticks from now.
local function store(text, last)
  redis.call('SET', KEYS[1], text, 'PX', math.ceil(last / 25) + 1000)
end

-- One that has passed is forgotten: it would be read as a future one after a day.
local throttle, header = 0, NONE
if string.sub(record, 1, 4) ~= NONE and at(0) > 0 and at(0) <= LONGEST then
  throttle, header = at(0), string.sub(record, 1, 4)
end

