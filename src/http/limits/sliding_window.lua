-- Sliding window logs of one request: its subject's own quota and, where there is one, the wider quota around it.
--
-- KEYS: one or two. ARGV: what to do (consume, refund), the time of what is refunded, and for each key twice, for its short
-- and its long window: number, length, and the time within which requests share a slot, in milliseconds; a length of 0 is no window.
--
-- A key holds two logs, each {time of the first request of the last slot, slot, requests in it, slot, requests in it, ...}. All
-- requests of a slot count until the latest of them leaves the window, so that no window ever holds more than its number.
--
-- Answers {1 if it was consumed, the time, and for each window: what is left, milliseconds until one comes back}.
local clock = redis.call('TIME')
local micros = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local now, up = math.floor(micros / 1000), math.ceil(micros / 1000)

local function expired(log, length)
  local kept, used = { log[1] }, 0
  for i = 2, #log, 2 do
    if log[i] + length > now then
      kept[#kept + 1] = log[i]
      kept[#kept + 1] = log[i + 1]
      used = used + log[i + 1]
    end
  end
  return kept, used
end

local function wait(log, length, over)
  for i = 2, #log, 2 do
    over = over - log[i + 1]
    if over <= 0 then return math.max(0, log[i] + length - now) end
  end
  return 0
end

local function record(log, slot)
  local n = #log
  if n > 1 and up - log[1] < slot then
    log[n] = log[n] + 1
    log[n - 1] = math.max(up, log[n - 1])
  else
    local at = up
    if n > 1 then at = math.max(up, log[n - 1]) end
    log[1] = at
    log[n + 1] = at
    log[n + 2] = 1
  end
end

local function refund(log, at)
  for i = 2, #log, 2 do
    if log[i] >= at then
      log[i + 1] = log[i + 1] - 1
      if log[i + 1] <= 0 then
        table.remove(log, i + 1)
        table.remove(log, i)
        if i > #log then log[1] = 0 end
      end
      return
    end
  end
end

local logs, admitted = {}, 1
local windows = {}
for k = 1, #KEYS do
  local stored = redis.call('GET', KEYS[k])
  if stored then logs[k] = cmsgpack.unpack(stored) else logs[k] = { { 0 }, { 0 } } end
  for w = 1, 2 do
    local base = 2 + (k - 1) * 6 + (w - 1) * 3
    local count, length, slot = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
    if length > 0 then
      local log, used = expired(logs[k][w], length)
      logs[k][w] = log
      windows[#windows + 1] = { log = log, used = used, count = count, length = length, slot = slot, key = k }
      if used >= count then admitted = 0 end
    end
  end
end

local answer = { admitted, up }
local refunds = ARGV[1] == 'refund'
for _, window in ipairs(windows) do
  if refunds then
    refund(window.log, tonumber(ARGV[2]))
  elseif admitted == 1 then
    record(window.log, window.slot)
    window.used = window.used + 1
  end
  local left = window.count - window.used
  if left < 0 then left = 0 end
  answer[#answer + 1] = left
  if admitted == 1 then
    answer[#answer + 1] = wait(window.log, window.length, 1)
  else
    answer[#answer + 1] = wait(window.log, window.length, window.used + 1 - window.count)
  end
end

if refunds or admitted == 1 then
  for k = 1, #KEYS do
    local longest = 0
    for _, window in ipairs(windows) do
      if window.key == k and window.length > longest then longest = window.length end
    end
    redis.call('SET', KEYS[k], cmsgpack.pack(logs[k]), 'PX', longest + 1000)
  end
end
return answer
