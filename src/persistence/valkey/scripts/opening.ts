/**
 * Says what a new store is, of several that open it first once. KEYS: store, runs. ARGV: format, hash. Gives what the store is;
 * nothing where something else has a key.
 */
export const openScript = `#!lua
local kept = redis.call('HMGET', KEYS[1], 'format', 'objectFormat')
if not kept[1] and redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'objectFormat', ARGV[2])
  return { ARGV[1], ARGV[2] }
end
return kept
`
