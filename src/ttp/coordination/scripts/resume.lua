-- Makes the caller the owner of a chain that outlives its process: what an owner before still sends is FENCED.
-- KEYS: 1 p<prio>:<chain>, which holds `<fid or nothing> <tasks> <owner>`
-- Returns: {fid of the last frame or '', tasks accepted in the chain, number of the new owner}
local fid, tasks, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d*) (%d+) (%d+)$')
local t = redis.call('TIME')
-- Time, so that it rises even where a failover has lost the last owner.
local number = string.format('%.0f', math.max(t[1] * 1000000 + t[2], (owner or 0) + 1))
redis.call('SET', KEYS[1], (fid or '') .. ' ' .. (tasks or '0') .. ' ' .. number, 'PX', 2592000000)
return {fid or '', tasks or '0', number}
