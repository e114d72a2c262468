-- Records the request not to run a task, for a day past the time the last delayed frame is due.
-- KEYS: 1 z  2 d
-- ARGV: 1 <origin, 16 hex>.<index>  2 clock offset ms
-- Returns: {OK}
-- include: append.lua
local offset = tonumber(ARGV[2])
if not offset or not string.match(ARGV[1], '^%x+%.%d+$') then return redis.error_reply('BADARGS cancel') end
redis.call('HSET', KEYS[1], ARGV[1], 1)
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
local wait = last and math.max(0, last - now_ms(offset)) or 0
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', wait + 86400000))
return {'OK'}
