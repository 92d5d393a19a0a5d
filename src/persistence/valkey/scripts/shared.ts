/**
 * Every script that writes begins with these: an instance that writes leaves a mark with each call, and a server that has
 * not got its last one has forgotten what it acknowledged. With the first call it looks whether its user may call all that they call.
 *
 * KEYS[1]: marks. ARGV[1] … [3]: the instance, the last call of it that was acknowledged, this call.
 */
export const marking = `
local markBefore = redis.call('HGET', KEYS[1], ARGV[1])
-- A script is not rolled back: what its user may not call must not be met half way.
if not markBefore then
  local needed = 'HEXISTS HGETALL HSET HSETNX HDEL XADD XDEL ZADD ZREM ZREMRANGEBYSCORE SADD TIME'
  for command in string.gmatch(needed, '%u+') do
    if not redis.acl_check_cmd(command, KEYS[1]) then
      return redis.error_reply('NOPERM this user may not call ' .. command)
    end
  end
end
local callBefore = markBefore and tonumber(string.match(markBefore, '^%d+')) or 0
local function remembered() return callBefore >= tonumber(ARGV[2]) end
local function forgotten(which) return redis.error_reply('ROLLEDBACK ' .. (which or 0)) end
local function mark()
  local now = redis.call('TIME')[1]
  if not markBefore then
    -- Those that crashed leave theirs behind.
    local marks = redis.call('HGETALL', KEYS[1])
    for place = 1, #marks, 2 do
      local at = tonumber(string.match(marks[place + 1], ' (%d+)$'))
      if at < now - 2592000 then redis.call('HDEL', KEYS[1], marks[place]) end
    end
  end
  -- Calls may overtake one another when one has to be sent again.
  if tonumber(ARGV[3]) > callBefore then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. now) end
end`

/** For how long a mark is kept, ms: as in {@link marking}. */
export const marksKept = 30 * 24 * 3_600_000

/** What the scripts know of a row: see `row-text.ts`. */
export const rows = String.raw`
-- The lines where the run stands, the token, and the lines that say where it is looked for.
local beginning = '^([^\n]*\n[^\n]*\n)([^\n]*)\n([^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n)'
local function revisionOf(standing) return tonumber(string.match(standing, '\n([^\n]*)')) end`
