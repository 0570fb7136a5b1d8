-- Corrects the record of one token: throttles it, removes starts of requests that were
-- not sent, adds starts of requests that were. Each of it may be repeated without
-- another effect.
--
-- ARGV: window, the time until which the token is throttled (0 for none), how many
-- starts to remove, those, then those to add; times are ticks of the server's clock.
-- Returns: now.
local window, throttled, removed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local delay = math.min(throttled - now, LONGEST)
if throttled > 0 and delay > throttle then
  throttle, header = delay, packed(delay)
end

local gone = {}
for index = 4, 3 + removed do
  gone[tonumber(ARGV[index]) - now] = true
end
local starts, known = {}, {}
local function add(start)
  if start > -window and not known[start] then
    starts[#starts + 1] = start
    known[start] = true
  end
end
for index = 1, #record / 4 - 1 do
  if not gone[at(index)] then
    add(at(index))
  end
end
for index = 4 + removed, #ARGV do
  add(tonumber(ARGV[index]) - now)
end
table.sort(starts)

if #starts == 0 and throttle <= 0 then
  redis.call('DEL', KEYS[1])
  return {now}
end
local text = {header}
for index, start in ipairs(starts) do
  text[index + 1] = packed(start)
end
store(table.concat(text), math.max(throttle, (starts[#starts] or -window) + window))
return {now}
