/**
 * Heads of runs. KEYS: of each its hash and its inbox. ARGV: mails of an inbox at most.
 * Gives of each row, name, the oldest mail, and how much there is; nothing where there is no run.
 */
export const headsScript = `#!lua flags=no-writes
local heads = {}
for at = 1, #KEYS, 2 do
  local run = redis.call('HMGET', KEYS[at], 'row', 'name')
  if run[1] then
    local mail = {}
    for place, entry in ipairs(redis.call('XRANGE', KEYS[at + 1], '-', '+', 'COUNT', ARGV[1])) do
      mail[place] = entry[2][2]
    end
    heads[#heads + 1] = { run[1], run[2], mail, redis.call('XLEN', KEYS[at + 1]) }
  else
    heads[#heads + 1] = {}
  end
end
return heads
`

/**
 * The first units of a range. KEYS: units. ARGV: first and last entry, so many characters and so many units at most; one unit
 * at least. Gives of each its entry and its fields.
 */
export const unitsScript = `#!lua flags=no-writes
local units, size, from, count = {}, 0, ARGV[1], 1
while size < tonumber(ARGV[3]) and #units < tonumber(ARGV[4]) do
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', count)
  for _, entry in ipairs(page) do
    units[#units + 1] = entry
    size = size + #entry[2][2]
    from = '(' .. entry[1]
  end
  if #page < count then break end
  -- Large units come one by one, small ones in ever larger pages.
  if size < tonumber(ARGV[3]) / 4 then count = count * 2 else count = 1 end
end
return units
`

/**
 * Who is due. KEYS: processes, then due and busy of each group. ARGV: until when, how many at most, and the end of the members
 * that are wanted, or nothing. Gives groups, members and times, each of them the first so many of one reason.
 */
export const dueScript = String.raw`#!lua flags=no-writes
local before, limit, ending = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local found = {}
local function fits(member) return ending == '' or string.sub(member, -#ending) == ending end
local function add(group, member, time)
  found[#found + 1] = group
  found[#found + 1] = member
  found[#found + 1] = time
end
-- Calls 'each' with those that fit, a page of them at a time, until it had so many.
local function first(page, each)
  local left, offset = limit, 0
  while left > 0 do
    local got = page(offset)
    if #got == 0 then break end
    offset = offset + #got
    for _, entry in ipairs(got) do
      if left > 0 and each(entry) then left = left - 1 end
    end
  end
end
for at = 2, #KEYS, 2 do
  local due, busy, group = KEYS[at], KEYS[at + 1], at / 2
  first(function(offset)
    local flat = redis.call('ZRANGEBYSCORE', due, '-inf', before, 'WITHSCORES', 'LIMIT', offset, 256)
    local got = {}
    for place = 1, #flat, 2 do got[#got + 1] = { flat[place], flat[place + 1] } end
    return got
  end, function(entry)
    if not fits(entry[1]) then return false end
    add(group, entry[1], entry[2])
    return true
  end)
  local from = '-'
  while true do
    local next = redis.call('ZRANGEBYLEX', busy, from, '+', 'LIMIT', 0, 1)[1]
    if not next then break end
    local process = string.match(next, '^([^\n]*)\n')
    local ranOut = redis.call('ZSCORE', KEYS[1], process) or '0'
    -- What comes after all members of this process: no name has a control character.
    local last = '(' .. process .. '\11'
    if tonumber(ranOut) <= tonumber(before) then
      first(function(offset)
        return redis.call('ZRANGEBYLEX', busy, '[' .. process .. '\n', last, 'LIMIT', offset, 256)
      end, function(entry)
        if not fits(entry) then return false end
        add(group, string.sub(entry, #process + 2), ranOut)
        return true
      end)
    end
    from = '[' .. process .. '\11'
  end
end
return found
`
