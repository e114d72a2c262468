-- Replaces a dead entry by the rest of it and, if asked, a frame that gets another chance.
-- KEYS: 1 x  2 c  3 s<prio>
-- ARGV: 1 entry id  2 rest or ''  3 fid of the rest  4 its tasks  5 its errors
--       6 revived frame or ''  7 its fid  8 its tasks
-- Returns: {OK | GONE, id of the new dead entry or ''}
-- include: append.lua
local rest, revived = ARGV[2], ARGV[6]
local function unsound(frame, fid, tasks)
  return frame ~= '' and not (is_fid(fid) and (tonumber(tasks) or 0) >= 1)
end
if not string.match(ARGV[1], '^%d+%-%d+$') or unsound(rest, ARGV[3], ARGV[4]) or unsound(revived, ARGV[7], ARGV[8]) then
  return redis.error_reply('BADARGS bury')
end
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return {'GONE', ''} end
local parked, bytes = 0, 0
for i = 1, #entry[2], 2 do
  local name, value = entry[2][i], entry[2][i + 1]
  if name == 'n' then parked = parked - value else bytes = bytes - #value end
end
local id = ''
if rest ~= '' then
  id = append(KEYS[1], KEYS[2], ARGV[3], 'n', ARGV[4], 'f', rest, 'e', ARGV[5])
  parked, bytes = parked + ARGV[4], bytes + #rest + #ARGV[5]
end
if revived ~= '' then
  append(KEYS[3], KEYS[2], ARGV[7], 'n', ARGV[8], 'f', revived)
  redis.call('HINCRBY', KEYS[2], 'tasks', ARGV[8])
  bytes = bytes + #revived
end
redis.call('HINCRBY', KEYS[2], 'parked', parked)
redis.call('HINCRBY', KEYS[2], 'bytes', bytes)
return {'OK', id}
