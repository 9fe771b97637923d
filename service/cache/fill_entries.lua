-- Joins a part of a fill's products into the sorted sets of some queries.
--
-- KEYS     the queries' sorted sets; one of them on a cluster, whose other keys may be elsewhere
-- ARGV     cap, then for each key: milliseconds to live (0: for ever), n, and n times score and product id; n is at
--          most 1000, and 0 where no product of the part is relevant
--
-- Of a product that comes several times its best score counts, and a set keeps the first `cap` products in the order
-- of ZREVRANGE. So the result depends neither on how the products were parted, nor on the order of the parts, nor on
-- whether some came twice. A set without any product holds the empty member alone.

local cap = tonumber(ARGV[1])
local marker, most_compact = '', 128

local function written_anew(key, size)
  -- A set that had too many members for the compact form would keep the large one.
  local best = redis.call('ZRANGE', key, size - cap, size - 1, 'WITHSCORES')
  for i = 1, #best, 2 do
    best[i], best[i + 1] = best[i + 1], best[i]
  end
  local left = redis.call('PTTL', key)
  redis.call('DEL', key)
  redis.call('ZADD', key, unpack(best))
  if left > 0 then
    redis.call('PEXPIRE', key, left)
  end
end

local function mark(key, life)
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZADD', key, -1, marker)
    if life > 0 then
      redis.call('PEXPIRE', key, life)
    end
  end
end

local function join(key, life, first, last)
  local added = redis.call('ZADD', key, 'GT', unpack(ARGV, first, last))
  local size = redis.call('ZCARD', key)
  if size > added then
    size = size - redis.call('ZREM', key, marker)
  elseif life > 0 then
    redis.call('PEXPIRE', key, life)
  end
  if size > cap and cap > most_compact then
    redis.call('ZREMRANGEBYRANK', key, 0, size - cap - 1)
  elseif size > cap then
    written_anew(key, size)
  end
end

local place = 2
for _, key in ipairs(KEYS) do
  local life, count = tonumber(ARGV[place]), tonumber(ARGV[place + 1])
  if count == 0 then
    mark(key, life)
  else
    join(key, life, place + 2, place + 1 + 2 * count)
  end
  place = place + 2 + 2 * count
end
return #KEYS
