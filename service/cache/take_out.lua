-- Takes products out of the sorted set of one query, atomically.
--
-- KEYS[1]  the query's sorted set
-- ARGV     product ids
--
-- A set that loses its last product holds the empty member instead; a set that is not there is not made.
--
-- Returns how many products it lost.

local key = KEYS[1]
local left = redis.call('PTTL', key)
local lost = 0
for i = 1, #ARGV do
  lost = lost + redis.call('ZREM', key, ARGV[i])
end
if lost > 0 and redis.call('EXISTS', key) == 0 then
  redis.call('ZADD', key, -1, '')
  if left > 0 then
    redis.call('PEXPIRE', key, left)
  end
end
return lost
