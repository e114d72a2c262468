-- Moves frames due by now, at most `limit`, from delayed to ready. Begins with a write that passes under OOM.
-- streams: s0 s1 s2
local function promote(delayed, frames, streams, counters, now, limit)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, limit)
  if #due == 0 then return end
  local tasks, waiting = 0, 0
  for _, member in ipairs(due) do
    redis.call('ZREM', delayed, member)
    local priority, n, why, fid = string.match(member, '^([012]):(%d+):([rs]):(%d+)$')
    local frame = fid and redis.call('HGET', frames, fid)
    if frame then
      redis.call('HDEL', frames, fid)
      append(streams[priority + 1], counters, fid, 'n', n, 'f', frame)
      tasks = tasks + n
      if why == 'r' then waiting = waiting + n end
    end
  end
  redis.call('HINCRBY', counters, 'tasks', tasks)
  redis.call('HINCRBY', counters, 'parked', 0 - tasks)
  if waiting > 0 then redis.call('HINCRBY', counters, 'waiting', -waiting) end
end
