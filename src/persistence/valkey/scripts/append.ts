import { marking, rows } from './shared.ts'

/**
 * Judges writes and does those that can be done. A script is not rolled back: all is judged before anything is written.
 *
 * KEYS: marks, runs, namespaces, pins, leases, machines; then pairs that the writes name by the first one's place: run and
 * units, due and busy, inbox and mail.
 * ARGV: of {@link marking}; token, how many machines, their oids and texts, how many writes, and of each
 * - the places of run, and of due where the run will be; the lines seq and revision where it must stand (empty: it is
 *   created); lease and its epoch (empty: none); row; how many units; how many more there are after the units
 * - of each unit its entry and its text
 * - where more is said: the places of due where the run was if it is being pinned, and of inbox (0: not needed); pin and name
 *   (empty: none, as before); how many mails it takes, and their names; how many machines it needs, and which of those above
 *
 * Gives of each write that is refused: which, the row, the run that has the pin, and the names and rows of the leases.
 */
export const appendScript = String.raw`#!lua
${marking}
${rows}
local call = redis.call
local runs, namespaces, pins, leases, machines = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token = ARGV[4]
if not remembered() then return forgotten() end

local leaseRows = {}
local function leaseRow(name)
  local row = leaseRows[name]
  if row == nil then
    row = call('HGET', leases, name) or ''
    leaseRows[name] = row
  end
  return row
end
local function isOwned(row) return row ~= '' and not string.find(row, '^%d+\n\n') end

-- Most runs of a call have the same places, or none.
local known = {}
local function placesIn(places)
  local found = known[places]
  if not found then
    found = { string.match(places, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n$') }
    known[places] = found
  end
  return found[1], found[2], found[3], found[4]
end

-- A run's name is the end of its key, which begins as that of the marks.
local afterPrefix = #KEYS[1] - #'marks' + #'run:' + 1
local function nameOf(run) return string.sub(run, afterPrefix) end

-- Which pins the writes before in this call will have made.
local taken = {}
local function pinOf(first, run)
  local pin = ARGV[first + 10 + 2 * ARGV[first + 6]]
  if ARGV[first + 7] == '0' or pin == '' then return '' end
  local other = taken[pin] or call('HGET', pins, pin)
  if other and other ~= nameOf(run) then return pin, other end
  return pin
end

local function stands(first, standing, pinnedTo, pinned)
  local expected, lease = ARGV[first + 2], ARGV[first + 3]
  if lease ~= '' then
    local row, epoch = leaseRow(lease), ARGV[first + 4] .. '\n'
    if not isOwned(row) or string.sub(row, 1, #epoch) ~= epoch then return false end
    if pinnedTo and pinnedTo ~= '' and pinnedTo ~= lease then return false end
  end
  if expected == '' then return not standing and not pinned end
  if lease == '' and pinnedTo and pinnedTo ~= '' and isOwned(leaseRow(pinnedTo)) then return false end
  return standing == expected
end

local firstWrite = 7 + 2 * ARGV[5]
local writes, placesBefore, refusals = {}, {}, {}
local first = firstWrite
for which = 1, tonumber(ARGV[firstWrite - 1]) do
  local run, expected = KEYS[tonumber(ARGV[first])], ARGV[first + 2]
  local row = call('HGET', run, 'row')
  local standing, last, places, pinnedTo
  if row then
    standing, last, places = string.match(row, beginning)
    local _, lease = placesIn(places)
    pinnedTo = lease
  end
  local pin, pinned = pinOf(first, run)
  if last == token then
    -- This very call was made before, and its answer was lost.
  elseif stands(first, standing, pinnedTo, pinned) then
    writes[#writes + 1] = first
    placesBefore[#writes] = places or false
    if pin ~= '' then taken[pin] = nameOf(run) end
  else
    if expected ~= '' and revisionOf(expected) > 0 and (not row or revisionOf(standing) < revisionOf(expected)) then
      return forgotten(which)
    end
    local refusal = { which, row or '', pinned or '' }
    for name in pairs({ [ARGV[first + 3]] = true, [pinnedTo or ''] = true }) do
      if name ~= '' then
        refusal[#refusal + 1] = name
        refusal[#refusal + 1] = leaseRow(name)
      end
    end
    refusals[#refusals + 1] = refusal
  end
  first = first + 8 + 2 * ARGV[first + 6] + ARGV[first + 7]
end

local function attend(first, run, before, places)
  local due, lease, process, namespace = placesIn(places)
  local dueWas, leaseWas, processWas = '', lease, ''
  if before then dueWas, leaseWas, processWas = placesIn(before) end
  local moves = leaseWas ~= lease
  local place = tonumber(ARGV[first + 1])
  local placeWas = moves and tonumber(ARGV[first + 8 + 2 * ARGV[first + 6]]) or place
  local member = nameOf(run) .. '\n' .. namespace
  if dueWas ~= '' and (moves or due == '') then call('ZREM', KEYS[placeWas], member) end
  if due ~= '' and (moves or due ~= dueWas) then call('ZADD', KEYS[place], due, member) end
  if moves or process ~= processWas then
    if processWas ~= '' then call('ZREM', KEYS[placeWas + 1], processWas .. '\n' .. member) end
    if process ~= '' then call('ZADD', KEYS[place + 1], 0, process .. '\n' .. member) end
  end
  if not before then
    call('ZADD', runs, 0, member)
    call('SADD', namespaces, namespace)
  end
end

mark()
for which, first in ipairs(writes) do
  local place = tonumber(ARGV[first])
  local run, row, at = KEYS[place], ARGV[first + 5], first + 8
  for _ = 1, tonumber(ARGV[first + 6]) do
    call('XADD', KEYS[place + 1], ARGV[at], 'unit', ARGV[at + 1])
    at = at + 2
  end
  local name = ''
  if ARGV[first + 7] ~= '0' then
    local inbox, pin = tonumber(ARGV[at + 1]), ARGV[at + 2]
    name = ARGV[at + 3]
    if pin ~= '' then call('HSET', pins, pin, nameOf(run)) end
    at = at + 4
    for mail = at + 1, at + ARGV[at] do
      local entry = call('HGET', KEYS[inbox + 1], ARGV[mail])
      if entry then call('XDEL', KEYS[inbox], entry) end
    end
    at = at + 1 + ARGV[at]
    for needed = at + 1, at + ARGV[at] do
      local machine = 4 + 2 * ARGV[needed]
      call('HSETNX', machines, ARGV[machine], ARGV[machine + 1])
    end
  end
  if name == '' then call('HSET', run, 'row', row) else call('HSET', run, 'row', row, 'name', name) end
  local _, _, places = string.match(row, beginning)
  local before = placesBefore[which]
  if places ~= before then attend(first, run, before, places) end
end
return refusals
`
