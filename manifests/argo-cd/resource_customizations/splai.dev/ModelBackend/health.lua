-- Conforms to kstatus: Ready, Reconciling and Stalled are always there. Degraded is only what needs somebody (Stalled);
-- a backend that is not Ready loads its model, waits for a node or rolls out, and a sync has to wait for it. One that was
-- scaled to zero is Healthy: a sync would wait for ever for one that is Suspended.
local hs = { status = "Progressing", message = "Waiting for the operator" }

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "Being deleted"
  return hs
end

if obj.status == nil or obj.status.conditions == nil then
  return hs
end

if obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end

local function holds(name)
  return found[name] ~= nil and found[name].status == "True"
end

local function words(name)
  local condition = found[name]
  if condition == nil then
    return ""
  end
  if condition.message ~= nil and condition.message ~= "" then
    return condition.reason .. ": " .. condition.message
  end
  return condition.reason
end

if holds("Stalled") then
  return { status = "Degraded", message = words("Stalled") }
end
if holds("Ready") and not holds("Reconciling") then
  return { status = "Healthy", message = words("Ready") }
end
if holds("Ready") then
  return { status = "Progressing", message = words("Reconciling") }
end
return { status = "Progressing", message = words("Ready") }
