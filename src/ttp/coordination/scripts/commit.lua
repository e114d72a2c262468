-- Replaces an entry by what its tasks became.
-- KEYS: 1 the entry's stream  2 c  3 d  4 dp  5-7 s0 s1 s2  8 z  9 R (if 11 > 0)  then those of the placements
-- ARGV: 1 entry id  2 consumer  3 tasks  4 bytes  5 done  6 retried  7 dead  8 cancelled
--       9 clock offset ms  10 frames to promote  11 ms to keep R, 0 without  12 channel  13 message  14 blocks
--       15 number of cancel requests served  then those requests
--       then eleven for each placement:
--       1 ready | held | delayed | dead  2 fid  3 tasks  4 frame  5 number of its key in KEYS (s, h, d or x; dp
--       follows d)  6 number of its c  7 due ms of delayed, errors of dead, else ''  8 member of d, or ''
--       9 number of its R, 0 without  10 ms to keep that R  11 1 if the tasks are new: count them accepted
-- Returns: {OK | FENCED, id of the held entry or ''}
-- include: append.lua
-- include: promote.lua
local source, c, id, consumer = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

-- Lua never rolls back: whatever could fail is looked at before the first write.
local numbers = {}
for i = 3, 11 do
  local number = tonumber(ARGV[i])
  if not number then return redis.error_reply('BADARGS commit ' .. i) end
  numbers[i] = number
end
local ttl, served = numbers[11], tonumber(ARGV[15])
local first = served and 16 + served
if not first or (#ARGV - first + 1) % 11 ~= 0 or not string.match(id, '^%d+%-%d+$') then
  return redis.error_reply('BADARGS commit')
end
local stream_of = {ready = 1, held = 1, dead = 1, delayed = 1}
local holds = false
for i = first, #ARGV, 11 do
  local kind, key, counters, results = ARGV[i], KEYS[tonumber(ARGV[i + 4])], KEYS[tonumber(ARGV[i + 5])], tonumber(ARGV[i + 8])
  local sound = stream_of[kind] and is_fid(ARGV[i + 1]) and (tonumber(ARGV[i + 2]) or 0) >= 1
    and #ARGV[i + 3] > 0 and key and counters and results and (results == 0 or KEYS[results]) and tonumber(ARGV[i + 9])
  if sound and kind == 'delayed' then
    sound = tonumber(ARGV[i + 6]) and KEYS[ARGV[i + 4] + 1] and string.match(ARGV[i + 7], '^[012]:%d+:[rs]:%d+$')
  elseif sound and kind == 'held' then
    sound = not holds
    holds = true
    local group = redis.pcall('XPENDING', key, 'g')
    if group.err then return group end
  end
  if not sound then return redis.error_reply('BADARGS commit placement') end
end

-- The fence, and the first write, which passes under OOM: whoever acknowledges the entry commits it.
if redis.call('XACK', source, 'g', id) == 0 then return {'FENCED', ''} end
redis.call('XDEL', source, id)

local held = ''
local tasks, bytes, parked, waiting, accepted = -numbers[3], -numbers[4], 0, 0, 0
local last_due = 0
for i = first, #ARGV, 11 do
  local kind, fid, n, frame = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local number = tonumber(ARGV[i + 4])
  local key, counters, results = KEYS[number], KEYS[tonumber(ARGV[i + 5])], tonumber(ARGV[i + 8])
  local up_tasks, up_bytes, up_parked, up_waiting = 0, #frame, 0, 0
  if kind == 'delayed' then
    redis.call('HSET', KEYS[number + 1], fid, frame)
    redis.call('ZADD', key, ARGV[i + 6], ARGV[i + 7])
    up_parked = n
    if string.find(ARGV[i + 7], ':r:', 1, true) then up_waiting = n end
    last_due = math.max(last_due, ARGV[i + 6])
  elseif kind == 'dead' then
    append(key, counters, fid, 'n', n, 'f', frame, 'e', ARGV[i + 6])
    up_parked, up_bytes = n, #frame + #ARGV[i + 6]
  else
    up_tasks = n
    local entry = append(key, counters, fid, 'n', n, 'f', frame)
    if kind == 'held' then
      held = entry
      -- Held frames are always somebody's. A stray one before ours is delivered too, and found as pending.
      repeat
        local delivered = redis.call('XREADGROUP', 'GROUP', 'g', consumer, 'COUNT', 1, 'STREAMS', key, '>')
      until delivered[1][2][1][1] == held
    end
  end
  if counters == c then
    tasks, bytes = tasks + up_tasks, bytes + up_bytes
    parked, waiting = parked + up_parked, waiting + up_waiting
    if ARGV[i + 10] == '1' then accepted = accepted + n end
  else
    redis.call('HINCRBY', counters, 'tasks', up_tasks)
    redis.call('HINCRBY', counters, 'bytes', up_bytes)
    if up_parked > 0 then redis.call('HINCRBY', counters, 'parked', up_parked) end
    if up_waiting > 0 then redis.call('HINCRBY', counters, 'waiting', up_waiting) end
    if ARGV[i + 10] == '1' then redis.call('HINCRBY', counters, 'accepted', n) end
  end
  if results > 0 then
    redis.call('HSET', KEYS[results], 'q', kind == 'delayed' and ARGV[i + 6] or '0')
    redis.call('HINCRBY', KEYS[results], 'r', n)
    local keep = tonumber(ARGV[i + 9])
    if kind == 'delayed' then keep = keep + math.max(0, ARGV[i + 6] - now_ms(numbers[9])) end
    redis.call('PEXPIRE', KEYS[results], keep)
  end
end

if tasks ~= 0 then redis.call('HINCRBY', c, 'tasks', tasks) end
if bytes ~= 0 then redis.call('HINCRBY', c, 'bytes', bytes) end
if parked ~= 0 then redis.call('HINCRBY', c, 'parked', parked) end
if waiting ~= 0 then redis.call('HINCRBY', c, 'waiting', waiting) end
if accepted ~= 0 then redis.call('HINCRBY', c, 'accepted', accepted) end
for i, total in ipairs({'done', 'retried', 'dead', 'cancelled'}) do
  if numbers[4 + i] ~= 0 then redis.call('HINCRBY', c, total, numbers[4 + i]) end
end
for i = 16, 15 + served, 1000 do -- unpack has its limits
  redis.call('HDEL', KEYS[8], unpack(ARGV, i, math.min(i + 999, 15 + served)))
end

if ttl > 0 then
  local results = KEYS[9]
  redis.call('HSET', results, id, ARGV[14])
  -- Tasks without an outcome keep the hash for a day past the last time they are due.
  -- (0 - n, not -n: minus zero is no integer to Redis.)
  if redis.call('HINCRBY', results, 'r', 0 - (numbers[5] + numbers[7] + numbers[8])) > 0 then
    ttl = math.max(ttl, 86400000)
    if last_due > 0 then ttl = math.max(ttl, 86400000 + last_due - now_ms(numbers[9])) end
    ttl = math.max(ttl, redis.call('PTTL', results))
  end
  redis.call('PEXPIRE', results, ttl)
  redis.call('PUBLISH', ARGV[12], ARGV[13])
end

if numbers[10] > 0 and redis.call('EXISTS', KEYS[3]) == 1 then
  promote(KEYS[3], KEYS[4], {KEYS[5], KEYS[6], KEYS[7]}, c, now_ms(numbers[9]), numbers[10])
end
return {'OK', held}
