-- Lists the heartbeat of each worker, and 0 for a consumer that has entries but no heartbeat.
-- KEYS: 1 w  2-5 s0 s1 s2 h
-- Returns: {worker, beat, worker, beat, …}
local out, known = {}, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 1) ~= '@' then -- else a worker's report
    known[fields[i]] = true
    out[#out + 1] = fields[i]
    out[#out + 1] = fields[i + 1]
  end
end
for i = 2, 5 do
  local pending = redis.pcall('XPENDING', KEYS[i], 'g')
  for _, consumer in ipairs(pending[4] or {}) do
    if not known[consumer[1]] then
      known[consumer[1]] = true
      out[#out + 1] = consumer[1]
      out[#out + 1] = '0'
    end
  end
end
return out
