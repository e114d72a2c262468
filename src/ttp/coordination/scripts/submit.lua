-- Accepts a frame if it continues its producer's chain.
-- KEYS: 1 p<prio>:<chain>  2 c  3 s<prio>, or d  [4 dp, if 3 is d]  [last: R, if results are kept]
-- ARGV: 1 fid before this one or ''  2 fid  3 tasks  4 limit of c.bytes  5 frame  6 ms to keep R, 0 without R
--       7 due ms or ''  8 member of d or ''  9 limit of tasks, 0 without  10 owner of the chain (resume.lua) or ''
-- Returns: {OK, fid, frames in the stream (0 if due)} or {NO | FULL, last fid of the chain or ''}. OOM is FULL.
--          {FENCED, owner or ''}: the chain is another's, or the server has lost this owner.
-- include: append.lua
local p, c, place = KEYS[1], KEYS[2], KEYS[3]
local fid, tasks, limit, frame = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local ttl, due, task_limit, owner = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[9]), ARGV[10]
if not (is_fid(fid) and tasks and tasks >= 1 and limit and ttl and task_limit and #frame > 0 and string.match(owner or '?', '^%d*$'))
  or (due ~= '' and not (tonumber(due) and string.match(ARGV[8], '^[012]:%d+:[rs]:%d+$') and KEYS[4])) then
  return redis.error_reply('BADARGS submit')
end

-- Kept longer than a clock may jump: without it, a frame whose reply was lost would be taken again.
local last, mark, keep = redis.call('GET', p) or '', fid, 691200000
if owner ~= '' then
  local before, position, by = string.match(last, '^(%d*) (%d+) (%d+)$')
  if by ~= owner then return {'FENCED', by or ''} end
  last, mark, keep = before, string.format('%s %.0f %s', fid, position + tasks, owner), 2592000000
end
if last ~= ARGV[1] then return {'NO', last} end
if tonumber(redis.call('HGET', c, 'bytes') or 0) + #frame > limit then return {'FULL', last} end
if task_limit > 0 then
  local all = (redis.call('HGET', c, 'tasks') or 0) + (redis.call('HGET', c, 'parked') or 0)
  if all + tasks > task_limit then return {'FULL', last} end
end

-- The first write: refused under OOM, with nothing done.
local count = redis.pcall('HINCRBY', c, 'id', 1)
if type(count) == 'table' then
  if string.find(count.err, 'OOM', 1, true) then return {'FULL', last} end
  return count
end
if due == '' then
  redis.call('XADD', place, string.format('%.0f-%s', count, fid), 'n', tasks, 'f', frame)
  redis.call('HINCRBY', c, 'tasks', tasks)
else
  redis.call('HSET', KEYS[4], fid, frame)
  redis.call('ZADD', place, due, ARGV[8])
  redis.call('HINCRBY', c, 'parked', tasks)
end
redis.call('HINCRBY', c, 'bytes', #frame)
redis.call('SET', p, mark, 'PX', keep)
redis.call('HINCRBY', c, 'accepted', tasks)
if ttl > 0 then
  local results = KEYS[#KEYS]
  redis.call('HSET', results, 'q', due == '' and '0' or due, 'r', tasks)
  if due ~= '' then ttl = ttl + math.max(0, due - now_ms(0)) end
  redis.call('PEXPIRE', results, ttl)
end
return {'OK', fid, due == '' and redis.call('XLEN', place) or 0}
