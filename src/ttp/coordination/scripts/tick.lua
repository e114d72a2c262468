-- A worker's heartbeat, now and then with its report; promotes what is due.
-- KEYS: 1 w  2 d  3 dp  4-6 s0 s1 s2  7 c
-- ARGV: 1 consumer  2 clock offset ms  3 frames to promote  4 report or ''
-- Returns: {the worker's beat, next due ms or ''}
-- include: append.lua
-- include: promote.lua
local offset, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if ARGV[1] == '' or not offset or not limit or not ARGV[4] then return redis.error_reply('BADARGS tick') end
redis.call('HDEL', KEYS[1], '') -- the first write must pass under OOM; the next one then may
local beat = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], '@' .. ARGV[1], ARGV[4]) end
promote(KEYS[2], KEYS[3], {KEYS[4], KEYS[5], KEYS[6]}, KEYS[7], now_ms(offset), limit)
local next_due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {beat, next_due[2] or ''}
