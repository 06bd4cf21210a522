<#
.SYNOPSIS
Installs or uninstalls XDP for Windows.

.PARAMETER Install
The component to install: xdp, or xdppa to sit with the filters that rewrite provider addresses.

.PARAMETER Uninstall
The component to uninstall. All programs that use XDP have to be closed.

.PARAMETER BinaryDirectory
Where xdp.sys, xdp.inf, xdp.cat and xdppcw.man are; the folder of this script if not given.

.PARAMETER Force
Goes on where cleaning up fails, with a warning.

.EXAMPLE
.\xdp-setup.ps1 -Install xdp

.EXAMPLE
.\xdp-setup.ps1 -Uninstall xdp
#>
[CmdletBinding()]
param (
    [ValidateSet("", "xdp", "xdppa", "xdpebpf", "xdpebpfexport")]
    [string]$Install = "",

    [ValidateSet("", "xdp", "xdppa", "xdpebpf", "xdpebpfexport")]
    [string]$Uninstall = "",

    [string]$BinaryDirectory = $PSScriptRoot,

    [switch]$Force
)

Set-StrictMode -Version Latest
$ErrorActionPreference = "Stop"
$Drivers = Join-Path $env:SystemRoot "System32\drivers"

# Says what could not be cleaned up: a failure, or a warning with -Force.
function Write-CleanupFailure([string]$Message) {
    if ($Force) {
        Write-Warning $Message
    } else {
        throw "$Message (-Force goes on all the same)"
    }
}

# The file of the package; it has to be there.
function Get-PackageFile([string]$Name) {
    $Path = Join-Path $BinaryDirectory $Name
    if (-not (Test-Path $Path)) {
        throw "$Path is missing"
    }
    return (Resolve-Path $Path).Path
}

# Runs a program; its exit code is the result, its output is shown.
function Invoke-Program([string]$Program, [string[]]$Arguments) {
    Write-Host "$Program $Arguments"
    & $Program @Arguments | Out-Host
    return $LASTEXITCODE
}

function Install-Xdp([string]$Component) {
    Get-PackageFile "xdp.sys" | Out-Null
    Get-PackageFile "xdp.cat" | Out-Null
    $Inf = Get-PackageFile "xdp.inf"
    $Code = Invoke-Program "netcfg.exe" @("-v", "-l", $Inf, "-c", "s", "-i", $Component)
    if ($Code -ne 0) {
        throw "netcfg.exe failed with exit code $Code; is the package signed, and does Windows trust the signature?"
    }
    $Counters = Get-PackageFile "xdppcw.man"
    $Code = Invoke-Program "lodctr.exe" @("/m:$Counters", "$Drivers\")
    if ($Code -ne 0) {
        Write-Warning "lodctr.exe failed with exit code ${Code}: performance counters have no names"
    }
    Write-Host "$Component is installed"
}

# The names under which Windows keeps our INF file.
function Get-StagedInf {
    $Folder = Join-Path $env:SystemRoot "INF"
    Get-ChildItem $Folder -Filter "oem*.inf" | Where-Object {
        Select-String -Path $_.FullName -Pattern "CatalogFile\s*=\s*xdp\.cat" -Quiet
    } | ForEach-Object { $_.Name }
}

function Remove-XdpService {
    $Deadline = (Get-Date).AddSeconds(10)
    $Service = Get-Service "xdp" -ErrorAction SilentlyContinue
    while ($Service -and $Service.Status -ne "Stopped") {
        if ((Get-Date) -gt $Deadline) {
            Write-CleanupFailure "the service xdp does not stop: a program still uses XDP"
            return
        }
        Start-Sleep -Milliseconds 100
        $Service.Refresh()
    }
    if ($Service) {
        $Code = Invoke-Program "sc.exe" @("delete", "xdp")
        # 1060, 1072: it is gone already, or marked for deletion.
        if ($Code -notin @(0, 1060, 1072)) {
            Write-CleanupFailure "sc.exe delete xdp failed with exit code $Code"
        }
    }
}

function Uninstall-Xdp([string]$Component) {
    $Counters = Join-Path $BinaryDirectory "xdppcw.man"
    if (Test-Path $Counters) {
        $Code = Invoke-Program "unlodctr.exe" @("/m:$Counters")
        if ($Code -ne 0) {
            # Counters that were never registered are no reason to stop.
            Write-Warning "unlodctr.exe failed with exit code $Code"
        }
    }
    $Code = Invoke-Program "netcfg.exe" @("-u", $Component)
    if ($Code -ne 0) {
        Write-CleanupFailure "netcfg.exe -u $Component failed with exit code $Code"
    }
    foreach ($Inf in @(Get-StagedInf)) {
        $Code = Invoke-Program "pnputil.exe" @("/delete-driver", $Inf)
        if ($Code -ne 0) {
            Write-CleanupFailure "pnputil.exe /delete-driver $Inf failed with exit code $Code"
        }
    }
    Remove-XdpService
    foreach ($File in @("$Drivers\xdp.sys", "$env:SystemRoot\System32\xdpapi.dll")) {
        if (Test-Path $File) {
            try {
                Remove-Item $File -Force
            } catch {
                Write-CleanupFailure "cannot delete ${File}: $_"
            }
        }
    }
    Write-Host "$Component is uninstalled"
}

try {
    $Identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $Administrator = [Security.Principal.WindowsBuiltInRole]::Administrator
    if (-not ([Security.Principal.WindowsPrincipal]$Identity).IsInRole($Administrator)) {
        throw "installing and uninstalling takes an administrator"
    }
    if (($Install -eq "") -eq ($Uninstall -eq "")) {
        throw "say either -Install or -Uninstall, and a component: xdp or xdppa"
    }
    switch ("$Install$Uninstall") {
        "xdp" {
            if ($Install) { Install-Xdp "ms_xdp" } else { Uninstall-Xdp "ms_xdp" }
        }
        # The one takes the place of the other.
        "xdppa" {
            if ($Install) {
                Uninstall-Xdp "ms_xdp"
                Install-Xdp "ms_xdp_pa"
            } else {
                Uninstall-Xdp "ms_xdp_pa"
                Install-Xdp "ms_xdp"
            }
        }
        default { throw "$_ is not supported: this driver runs no eBPF programs" }
    }
} catch {
    Write-Error -Message "$_" -ErrorAction Continue
    exit 1
}
