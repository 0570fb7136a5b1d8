-- Corrects the record of one token: throttles it, removes starts of requests that were
-- not sent, adds starts of requests that were.
--
-- A start names one request. One that a replica has chosen itself, and that another
-- has too, moves to the next tick that is free; a start that may be in the record
-- already is added unless it is.
--
-- ARGV: window, the time until which the token is throttled (0 for none), how many
-- starts to remove, how many that may be there; those, and then those of requests
-- that are new. Times are ticks of the server's clock.
-- Returns: now.
local window, throttled = tonumber(ARGV[1]), tonumber(ARGV[2])
local removed = tonumber(ARGV[3])
local known = removed + tonumber(ARGV[4])

local delay = math.min(throttled - now, LONGEST)
if throttled > 0 and delay > throttle then
  throttle, header = delay, packed(delay)
end

local gone = {}
for index = 1, removed do
  gone[tonumber(ARGV[4 + index]) - now] = true
end
local starts, taken = {}, {}
local function add(start)
  if start > -window and not taken[start] then
    starts[#starts + 1] = start
    taken[start] = true
  end
end
for index = 1, #record / 4 - 2 do
  if not gone[at(index)] then
    add(at(index))
  end
end
for index = removed + 1, known do
  add(tonumber(ARGV[4 + index]) - now)
end
for index = 5 + known, #ARGV do
  local start = tonumber(ARGV[index]) - now
  while taken[start] do
    start = start + 1
  end
  add(start)
end
table.sort(starts)

if #starts == 0 and throttle <= 0 then
  redis.call('DEL', KEYS[1])
  return {now}
end
local text = {}
for index, start in ipairs(starts) do
  text[index] = packed(start)
end
store(table.concat(text), math.max(throttle, (starts[#starts] or -window) + window))
return {now}
