# castline-job.ps1 CAST: one scheduled run for the Windows Task Scheduler. Register it once, as an administrator:
#
#   $run = New-ScheduledTaskAction -Execute powershell.exe -WorkingDirectory D:\cast `
#     -Argument '-NoProfile -ExecutionPolicy Bypass -File C:\castline\castline-job.ps1 cast.csv'
#   $at = New-ScheduledTaskTrigger -Daily -At 3am
#   $once = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew
#   Register-ScheduledTask castline -Action $run -Trigger $at -Settings $once
#
# CASTLINE_API_KEY, CASTLINE_S3_BUCKET and the AWS variables are environment variables of the account that runs the task.
# The budget of a run stands in castline.toml: api.max_cost_usd.
param([Parameter(Mandatory)][string]$Cast)
& castline run $Cast --yes --log-file castline.ndjson --quiet
$code = $LASTEXITCODE
# 3: done, but some characters need a person. Not a failure of the task, as in the other samples.
if ($code -eq 3) {
    Write-Warning "castline: some characters need a person: castline status $Cast"
    exit 0
}
exit $code
