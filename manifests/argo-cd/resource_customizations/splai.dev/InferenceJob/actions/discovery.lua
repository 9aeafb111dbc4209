local phase = obj.status ~= nil and obj.status.phase or "Pending"
local over = phase == "Completed" or phase == "Failed" or phase == "Canceled"
local total = obj.status ~= nil and obj.status.total or 0
local succeeded = obj.status ~= nil and obj.status.succeeded or 0

-- retry-failed adds nine characters to the name, and a job's name has at most 52.
local name_fits = #obj.metadata.name <= 43

local actions = {}
actions["suspend"] = {
  iconClass = "fa fa-fw fa-pause",
  disabled = over or obj.spec.cancel == true or obj.spec.suspend == true,
}
actions["resume"] = {
  iconClass = "fa fa-fw fa-play",
  disabled = over or obj.spec.cancel == true or obj.spec.suspend ~= true,
}
actions["cancel"] = {
  iconClass = "fa fa-fw fa-stop",
  disabled = over or obj.spec.cancel == true,
}
actions["retry-failed"] = {
  displayName = "Retry failed records",
  iconClass = "fa fa-fw fa-redo",
  disabled = not (over and succeeded < total and name_fits),
}
return actions
