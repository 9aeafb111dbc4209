-- A new job over those records of this one that have no answer. Nothing owns it: it is not in Git, and it must survive
-- the deletion of the old one.
local os = require("os")

-- Lua knows no empty map: to Argo CD an empty table is a list, which the apiserver refuses where a map belongs.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, inner in pairs(value) do
    if key == "emptyDir" and next(inner) == nil then
      result[key] = { medium = "" }
    else
      result[key] = copy(inner)
    end
  end
  if next(result) == nil then
    return nil
  end
  return result
end

local job = {
  apiVersion = obj.apiVersion,
  kind = obj.kind,
  metadata = {
    name = obj.metadata.name .. "-" .. os.date("!%m%d%H%M"),
    namespace = obj.metadata.namespace,
  },
  spec = copy(obj.spec),
}

-- Argo CD's own labels stay behind, or it would take the new job for one that Git has dropped.
local labels = obj.metadata.labels or {}
for _, name in ipairs({ "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class" }) do
  if labels[name] ~= nil then
    job.metadata.labels = job.metadata.labels or {}
    job.metadata.labels[name] = labels[name]
  end
end

job.spec.input = { failedOf = { name = obj.metadata.name } }
job.spec.cancel = nil
job.spec.suspend = nil

return { { operation = "create", resource = job } }
