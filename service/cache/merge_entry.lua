-- Merges newly scored products into the sorted set of one query, atomically.
--
-- KEYS[1]  the query's sorted set
-- ARGV     cap, n, then n times score and product id to keep, then the ids of products that are not relevant
--
-- Afterwards the set exists; it holds either 1 to `cap` products or the empty member alone, which says
-- "scored, nothing relevant". Of products with equal scores, those with the smaller ids stay.
--
-- Returns {1 if the set is new, change of the number of products, ids that the cap removed ...}

local key, cap, kept = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local marker = ''

local existed = redis.call('EXISTS', key)
redis.call('ZREM', key, marker)
local before = redis.call('ZCARD', key)

for i = 3, 2 + 2 * kept, 2 do
  redis.call('ZADD', key, ARGV[i], ARGV[i + 1])
end
for i = 3 + 2 * kept, #ARGV do
  redis.call('ZREM', key, ARGV[i])
end

local answer = {1 - existed, 0}
local excess = redis.call('ZCARD', key) - cap
while excess > 0 do
  local lowest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  local tied = redis.call('ZREVRANGEBYSCORE', key, lowest, lowest, 'LIMIT', 0, excess)
  for _, id in ipairs(tied) do
    redis.call('ZREM', key, id)
    answer[#answer + 1] = id
  end
  excess = excess - #tied
end

local after = redis.call('ZCARD', key)
if after == 0 then
  redis.call('ZADD', key, -1, marker)
end
answer[2] = after - before
return answer
