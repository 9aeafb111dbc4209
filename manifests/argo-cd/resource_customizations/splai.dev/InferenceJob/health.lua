-- The phase says it all; kstatus conformance would not do here, because to kstatus a running job is Current already,
-- and the next sync wave would start before the answers are there.
local hs = { status = "Progressing", message = "Waiting for the operator" }

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "Being deleted"
  return hs
end

if obj.status == nil or obj.status.phase == nil then
  return hs
end

-- A status of before the last change says nothing about what was asked for since.
if obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local statuses = {
  Completed = "Healthy",
  Failed = "Degraded",
  Canceled = "Degraded",
  Suspended = "Suspended",
}
local phase = obj.status.phase
hs.status = statuses[phase] or "Progressing"

hs.message = phase
local words = obj.status.message
local counts = obj.status.requestCounts
if words ~= nil and words ~= "" then
  hs.message = phase .. ": " .. words
elseif counts ~= nil and counts.total ~= nil then
  hs.message = phase .. ": " .. (counts.completed or 0) .. " of " .. counts.total .. " records answered"
end
return hs
