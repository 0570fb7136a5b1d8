-- Takes turns of one token: the times at which its next requests may start.
--
-- ARGV: requests in a window, window, the time at which the check expires, the
-- latest start, how many turns. Times are in ticks.
-- Returns: status (0 expired, 1 too late, 2 taken), now, the ticks until the end
-- of the throttle, and the ticks from now until each start (status 1: the last).
local limit, window, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local latest, count = tonumber(ARGV[4]), tonumber(ARGV[5])

-- A check that the caller has given up runs when a frozen server goes on.
if now > expiry then
  return {0, now, 0}
end

local size = #record / 4 - 1
local first = 1
while first < size and at(first) <= -window do
  first = first + 1
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
local reply = {2, now, throttle}
if last then
  local added = {}
  for number = 1, count do
    added[number] = packed(starts[number])
    reply[number + 3] = starts[number]
  end
  store(string.sub(record, first * 4 + 5) .. table.concat(added), last + window)
end
return reply
