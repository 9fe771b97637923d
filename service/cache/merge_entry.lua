-- Merges newly scored products into the sorted set of one query, atomically.
--
-- KEYS[1]  the query's sorted set
-- ARGV     cap, milliseconds to live (0: for ever), n, then n times score and product id to keep, then the ids of
--          products that are not relevant
--
-- Afterwards the set exists; it holds either 1 to `cap` products or the empty member alone, which says
-- "scored, nothing relevant". The first `cap` products in the order of ZREVRANGE stay: of equal scores, those with
-- the larger ids. The time to live runs from the moment at which the set was new.
--
-- Returns {1 if the set is new, change of the number of products, ids that the cap removed ...}

local key, cap, life, kept = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local marker = ''

local existed = redis.call('EXISTS', key)
local left = existed == 1 and redis.call('PTTL', key) or life
redis.call('ZREM', key, marker)
local before = redis.call('ZCARD', key)

for i = 4, 3 + 2 * kept, 2 do
  redis.call('ZADD', key, ARGV[i], ARGV[i + 1])
end
for i = 4 + 2 * kept, #ARGV do
  redis.call('ZREM', key, ARGV[i])
end

local answer = {1 - existed, 0}
local excess = redis.call('ZCARD', key) - cap
if excess > 0 then
  for _, id in ipairs(redis.call('ZRANGE', key, 0, excess - 1)) do
    answer[#answer + 1] = id
  end
  redis.call('ZREMRANGEBYRANK', key, 0, excess - 1)
end

local after = redis.call('ZCARD', key)
if after == 0 then
  redis.call('ZADD', key, -1, marker)
end
if left > 0 then
  redis.call('PEXPIRE', key, left)
end
answer[2] = after - before
return answer
