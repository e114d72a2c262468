-- Adds an entry to a stream under the id `<counter>-<fid>`, and returns the id. The fid, random, makes ids
-- that recur after a failover differ. Ids stay strings: they may pass 2^53.
local function append(stream, counters, fid, ...)
  local id = string.format('%.0f-%s', redis.call('HINCRBY', counters, 'id', 1), fid)
  redis.call('XADD', stream, id, ...)
  return id
end

-- Whether this is a fid: 1 to 2^64 - 1 in decimal.
local function is_fid(text)
  return string.match(text, '^[1-9]%d*$') and (#text < 20 or #text == 20 and text <= '18446744073709551615')
end

-- Milliseconds since 1970, by the server's clock and the offset that tests move.
local function now_ms(offset)
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000) + offset
end
