/** Keeps a snapshot, and the newest few. KEYS: run, snapshots. ARGV: seq, text, how many. */
export const saveScript = String.raw`#!lua
local row = redis.call('HGET', KEYS[1], 'row')
if not row or tonumber(string.match(row, '^[^\n]*')) < tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local seqs = redis.call('HKEYS', KEYS[2])
table.sort(seqs, function(a, b) return tonumber(a) < tonumber(b) end)
for place = 1, #seqs - ARGV[3] do redis.call('HDEL', KEYS[2], seqs[place]) end
return 1
`

/** The newest snapshot that is not later. KEYS: snapshots. ARGV: seq. */
export const loadScript = `#!lua flags=no-writes
local newest, text
for _, seq in ipairs(redis.call('HKEYS', KEYS[1])) do
  local number = tonumber(seq)
  if number <= tonumber(ARGV[1]) and (not newest or number > newest) then newest, text = number, seq end
end
return text and redis.call('HGET', KEYS[1], text)
`
