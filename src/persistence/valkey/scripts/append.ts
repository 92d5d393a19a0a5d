import { marking, rows } from './shared.ts'

/**
 * Judges writes and does those that can be done. A script is not rolled back: all is judged before anything is written.
 *
 * KEYS: marks, runs, namespaces, pins, leases, machines; then those that the writes name by their place.
 * ARGV: of {@link marking}; token, how many machines, their oids and texts; how many writes, and of each
 * - the places of its keys: run, units, then due and busy of where the run will be, then of where it was if it is being
 *   pinned (0: nowhere), then inbox and mail
 * - run, member, expected seq and revision (empty: it is created), lease and its epoch (empty: none), pin (empty: none)
 * - row and name (empty: as before)
 * - how many units, and of each its entry, at, events and rest; how many mails it takes, and their names; how many machines
 *   it needs, and which of those above
 *
 * Gives of each write that is refused: which, the row, the run that has the pin, and the names and rows of the leases.
 */
export const appendScript = String.raw`#!lua
${marking}
${rows}
local runs, namespaces, pins, leases, machines = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token = ARGV[4]
if not remembered() then return forgotten() end

local leaseRows = {}
local function leaseRow(name)
  local row = leaseRows[name]
  if row == nil then
    row = redis.call('HGET', leases, name) or ''
    leaseRows[name] = row
  end
  return row
end
local function isOwned(row) return row ~= '' and not string.find(row, '^%d+\n\n') end
local function isHeld(row, epoch)
  return isOwned(row) and string.sub(row, 1, #epoch + 1) == epoch .. '\n'
end

-- Which pins and runs the writes before in this call will have made.
local taken = {}

local function stands(w, row, seq, revision, pinnedTo)
  if w.lease ~= '' then
    if not isHeld(leaseRow(w.lease), w.epoch) then return false end
    if row and pinnedTo ~= '' and pinnedTo ~= w.lease then return false end
  end
  if w.seq == '' then return not row and not w.pinned end
  if not row then return false end
  if w.lease == '' and pinnedTo ~= '' and isOwned(leaseRow(pinnedTo)) then return false end
  return seq == w.seq and revision == w.revision
end

local at = 5 + 2 * ARGV[5]
local function take()
  at = at + 1
  return ARGV[at]
end
local function key()
  local place = take()
  return KEYS[tonumber(place)]
end

local writes, refusals = {}, {}
for which = 1, tonumber(take()) do
  local w = {
    run = key(), units = key(), due = key(), busy = key(), dueBefore = key(), busyBefore = key(),
    inbox = key(), mail = key(),
    id = take(), member = take(), seq = take(), revision = take(),
    lease = take(), epoch = take(), pin = take(), row = take(), name = take(),
  }
  w.unitCount = tonumber(take())
  w.firstUnit = at
  at = at + 4 * w.unitCount
  w.mailCount = tonumber(take())
  w.firstMail = at
  at = at + w.mailCount
  w.machineCount = tonumber(take())
  w.firstMachine = at
  at = at + w.machineCount

  local row = redis.call('HGET', w.run, 'row')
  local seq, revision, last, due, lease, process
  if row then seq, revision, last, due, lease, process = fields(row) end
  if w.pin ~= '' then
    w.pinned = taken[w.pin] or redis.call('HGET', pins, w.pin)
    if w.pinned == w.id then w.pinned = nil end
  end
  if w.revision ~= '' and tonumber(w.revision) > 0 and (not row or tonumber(revision) < tonumber(w.revision)) then
    return forgotten(which)
  end
  if last == token then
    -- This very call was made before, and its answer was lost.
  elseif stands(w, row, seq, revision, lease) then
    w.dueWas, w.leaseWas, w.processWas = due or '', lease, process or ''
    writes[#writes + 1] = w
    if w.pin ~= '' then taken[w.pin] = w.id end
  else
    local refusal = { which, row or '', w.pinned or '' }
    for name in pairs({ [w.lease] = true, [lease or ''] = true }) do
      if name ~= '' then
        refusal[#refusal + 1] = name
        refusal[#refusal + 1] = leaseRow(name)
      end
    end
    refusals[#refusals + 1] = refusal
  end
end

mark()
for _, w in ipairs(writes) do
  for place = w.firstMachine + 1, w.firstMachine + w.machineCount do
    local machine = 4 + 2 * ARGV[place]
    redis.call('HSETNX', machines, ARGV[machine], ARGV[machine + 1])
  end
  if w.name == '' then
    redis.call('HSET', w.run, 'row', w.row)
  else
    redis.call('HSET', w.run, 'row', w.row, 'name', w.name)
  end
  for unit = w.firstUnit + 1, w.firstUnit + 4 * w.unitCount, 4 do
    redis.call('XADD', w.units, ARGV[unit], 'at', ARGV[unit + 1], 'events', ARGV[unit + 2], 'rest', ARGV[unit + 3])
  end
  if w.seq == '' then
    redis.call('ZADD', runs, 0, w.member)
    redis.call('SADD', namespaces, string.match(w.member, '\n(.*)$'))
    if w.pin ~= '' then redis.call('HSET', pins, w.pin, w.id) end
  end
  for mail = w.firstMail + 1, w.firstMail + w.mailCount do
    local entry = redis.call('HGET', w.mail, ARGV[mail])
    if entry then redis.call('XDEL', w.inbox, entry) end
  end
  local _, _, _, due, lease, process = fields(w.row)
  local moves = w.leaseWas and w.leaseWas ~= lease
  local dueBefore, busyBefore = w.due, w.busy
  if moves then dueBefore, busyBefore = w.dueBefore, w.busyBefore end
  if w.dueWas ~= '' and (moves or due == '') then redis.call('ZREM', dueBefore, w.member) end
  if due ~= '' and (moves or due ~= w.dueWas) then redis.call('ZADD', w.due, due, w.member) end
  if moves or process ~= w.processWas then
    if w.processWas ~= '' then redis.call('ZREM', busyBefore, w.processWas .. '\n' .. w.member) end
    if process ~= '' then redis.call('ZADD', w.busy, 0, process .. '\n' .. w.member) end
  end
end
return refusals
`
