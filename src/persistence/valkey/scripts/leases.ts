import { marking } from './shared.ts'

/** Takes a partition over. KEYS: marks, leases. ARGV: of {@link marking}; lease, owner, group, and what the epoch must be above. Gives the row. */
export const claimScript = String.raw`#!lua
${marking}
if not remembered() then return forgotten() end
local row = redis.call('HGET', KEYS[2], ARGV[4])
local epoch = math.max(row and tonumber(string.match(row, '^%d+')) or 0, tonumber(ARGV[7]))
row = string.format('%.0f', epoch + 1) .. '\n' .. ARGV[5] .. '\n' .. ARGV[6]
mark()
redis.call('HSET', KEYS[2], ARGV[4], row)
return row
`

/** Gives a partition back. KEYS: marks, leases. ARGV: of {@link marking}; lease, epoch. Gives whether the epoch was its own. */
export const releaseScript = String.raw`#!lua
${marking}
if not remembered() then return forgotten() end
mark()
local row = redis.call('HGET', KEYS[2], ARGV[4])
if not row or string.match(row, '^%d+') ~= ARGV[5] then return 0 end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5] .. '\n\n')
return 1
`

/** Says until when a process lives. KEYS: marks, processes. ARGV: of {@link marking}; process, until. Those long gone are forgotten. */
export const renewScript = `#!lua
${marking}
if not remembered() then return forgotten() end
mark()
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[6])
return 1
`
