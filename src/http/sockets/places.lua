-- The sockets of one user or address on all nodes. KEYS: one hash, by node. ARGV: this node, its sockets with the one that
-- is wanted, the most of all nodes, how long the hash is kept (ms), then the other nodes that are there.
--
-- Answers 1 and notes the number, or 0 and changes nothing. Numbers of nodes that have gone do not count.
local mine, most, all = tonumber(ARGV[2]), tonumber(ARGV[3]), 0
for i = 5, #ARGV do
  all = all + tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0)
end
if all + mine > most then return 0 end
if redis.call('HLEN', KEYS[1]) > #ARGV + 16 then
  local kept = {}
  for i = 5, #ARGV do kept[i] = redis.call('HGET', KEYS[1], ARGV[i]) end
  redis.call('DEL', KEYS[1])
  for i = 5, #ARGV do
    if kept[i] then redis.call('HSET', KEYS[1], ARGV[i], kept[i]) end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], mine)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
