-- The beginning of each script: the server's time, and the record of one token.
--
-- KEYS[1] holds the record: big-endian 32-bit numbers, first the end of the token's
-- throttle (0 for none), then the time of the last change, then the start of each
-- request of the window, in order, those of the future too. A time is a number of
-- ticks (40 us) of the server's clock, modulo 2^32; it is read relative to now, so it
-- may wrap.
local WRAP, HALF, TICKS, LONGEST = 4294967296, 2147483648, 25000, 15000000
local NONE, LARGEST = '\0\0\0\0', 4000000

local time = redis.call('TIME')
local now = time[1] * TICKS + math.floor(time[2] / 40)
local record = redis.pcall('GET', KEYS[1])
if type(record) == 'table' then
  if not string.find(record.err, 'WRONGTYPE', 1, true) then
    return record
  end
  record = false
end
-- What something else has written is replaced.
if not record or #record < 8 or #record % 4 ~= 0 or #record > LARGEST then
  record = NONE .. struct.pack('>I4', now % WRAP)
end

-- The ticks from now until a start of the record, from 1; 0 is its last change, -1 the
-- end of the throttle.
local function at(index)
  return (struct.unpack('>I4', record, index * 4 + 5) - now + HALF) % WRAP - HALF
end

local function packed(ticks)
  return struct.pack('>I4', (now + ticks) % WRAP)
end

-- The server's clock was set back since, so all times move with it.
local back = at(0)
if back > 0 then
  local is_throttled = string.sub(record, 1, 4) ~= NONE
  local moved = {is_throttled and packed(at(-1) - back) or NONE, packed(0)}
  for index = 1, #record / 4 - 2 do
    moved[index + 2] = packed(at(index) - back)
  end
  record = table.concat(moved)
end

-- One that has passed is forgotten: it would be read as a future one after a day.
local throttle, header = 0, NONE
if string.sub(record, 1, 4) ~= NONE and at(-1) > 0 and at(-1) <= LONGEST then
  throttle, header = at(-1), string.sub(record, 1, 4)
end

-- Stores the starts until `last`, in ticks from now.
local function store(starts, last)
  redis.call('SET', KEYS[1], header .. packed(0) .. starts, 'PX', math.ceil(last / 25) + 1000)
end

