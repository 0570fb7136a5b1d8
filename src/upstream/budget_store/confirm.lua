-- Confirms a turn of one token just before its request starts, which may have waited
-- for a minute: requests before it may have started later than their turns, and the
-- token may be throttled.
--
-- ARGV: requests in a window, window, the time at which the check expires, the turn
-- in ticks (-1 for none: a new one is taken).
-- Returns: status (0 expired, 2 confirmed), now, the ticks until the end of the
-- throttle, and the ticks from now until the start, which is a new turn if it is
-- another than before.
local limit, window, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local turn = tonumber(ARGV[4])

if now > expiry then
  return {0, now, 0}
end

local starts, own = {}, nil
for index = 1, #record / 4 - 2 do
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
  local earliest = math.max(throttle, before and before + window or 0)
  if earliest <= math.max(start, 0) then
    return {2, now, throttle, start}
  end
  table.remove(starts, own)
  start = earliest
else
  local before = starts[#starts - limit + 1]
  start = math.max(throttle, before and before + window or 0)
end
-- Later than those that start at the same time, so that a start names one request.
local place = 1
while starts[place] and starts[place] <= start do
  if starts[place] == start then
    start = start + 1
  end
  place = place + 1
end
table.insert(starts, place, start)

local text = {}
for index, each in ipairs(starts) do
  text[index] = packed(each)
end
store(table.concat(text), starts[#starts] + window)
return {2, now, throttle, start}
