import { marking } from './shared.ts'

/**
 * Puts mail into inboxes, in order.
 *
 * KEYS: marks; then those that the mail names by their place.
 * ARGV: of {@link marking}; then of each mail the places of its keys (run, mail, inbox, and due of where the run is believed
 * to be), the member, the lease (`?`: the run was not there), the name of the mail and its text.
 *
 * Gives what became of each; `moved`: the run is elsewhere than it was believed to be.
 */
export const deliverScript = String.raw`#!lua
${marking}
if not remembered() then return forgotten() end

local nineLines = '^' .. string.rep('([^\n]*)\n', 9)
local letters = {}
for at = 4, #ARGV, 8 do
  local letter = {
    run = KEYS[tonumber(ARGV[at])], mail = KEYS[tonumber(ARGV[at + 1])],
    inbox = KEYS[tonumber(ARGV[at + 2])], due = KEYS[tonumber(ARGV[at + 3])],
    member = ARGV[at + 4], lease = ARGV[at + 5], name = ARGV[at + 6], text = ARGV[at + 7],
  }
  letter.row = redis.call('HGET', letter.run, 'row')
  letters[#letters + 1] = letter
end

mark()
local answers = {}
for which, letter in ipairs(letters) do
  -- Read again: a mail before in this call may have been for the same run.
  local row = letter.row and redis.call('HGET', letter.run, 'row')
  if not row then
    answers[which] = 'unknown'
  else
    local seq, revision, token, due, lease, _, _, status, wakes = string.match(row, nineLines)
    if redis.call('HEXISTS', letter.mail, letter.name) == 1 then
      answers[which] = 'duplicate'
    elseif status ~= 'active' then
      answers[which] = 'finished'
    elseif lease ~= letter.lease then
      answers[which] = 'moved'
    else
      local now = string.format('%.0f', revision + 1)
      local entry = now .. '-0'
      redis.call('XADD', letter.inbox, entry, 'mail', letter.text)
      redis.call('HSET', letter.mail, letter.name, entry)
      local rest = string.sub(row, #seq + #revision + #token + #due + 5)
      if wakes == '1' then
        if due ~= '0' then redis.call('ZADD', letter.due, 0, letter.member) end
        due = '0'
      end
      redis.call('HSET', letter.run, 'row', seq .. '\n' .. now .. '\n' .. token .. '\n' .. due .. '\n' .. rest)
      answers[which] = 'taken'
    end
  end
end
return answers
`
