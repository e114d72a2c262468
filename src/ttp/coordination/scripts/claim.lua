-- Takes entries over from a consumer; forgets a consumer that has none anywhere.
-- KEYS: 1 the stream to take from  2 w  3-6 s0 s1 s2 h
-- ARGV: 1 consumer that has them  2 consumer that takes them  3 1 if the first one crashed  4 entries at most
--       5 its beat when it was judged, or ''
-- Returns: {{entry id, deliveries, tasks, frame}, …}
local from, to, crashed, limit = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
if from == '' or to == '' or not limit or limit < 1 or not ARGV[5] then return redis.error_reply('BADARGS claim') end
local out = {}
-- Whoever has beaten since it was judged lives; what has become of it is for the next look.
if ARGV[5] ~= '' and (redis.call('HGET', KEYS[2], from) or '0') ~= ARGV[5] then return out end
local pending = redis.call('XPENDING', KEYS[1], 'g', '-', '+', limit, from)
for _, entry in ipairs(pending) do
  local deliveries = entry[4] + (crashed and 1 or 0)
  local claimed = redis.call('XCLAIM', KEYS[1], 'g', to, 0, entry[1], 'RETRYCOUNT', deliveries)[1]
  if claimed and claimed[2] then
    local fields = {}
    for i = 1, #claimed[2], 2 do fields[claimed[2][i]] = claimed[2][i + 1] end
    out[#out + 1] = {claimed[1], deliveries, fields.n, fields.f}
  else
    redis.call('XACK', KEYS[1], 'g', entry[1]) -- somebody deleted the entry; 6.2 lists it still
  end
end
if #pending == 0 then
  for i = 3, 6 do
    if #redis.call('XPENDING', KEYS[i], 'g', '-', '+', 1, from) > 0 then return out end
  end
  redis.call('HDEL', KEYS[2], from, '@' .. from)
  for i = 3, 6 do redis.call('XGROUP', 'DELCONSUMER', KEYS[i], 'g', from) end
end
return out
