"""What machines say: recordings published by their owners, and text in the known formats.

No vendor code runs in a test. PI5_PMIC and the `tegrastats` lines are recordings; the rest is ours.

PI5_PMIC: an idle Raspberry Pi 5 under HAOS, taken verbatim (github.com/bakerkj, the tests of
    pi5_power_monitor); the format is that of `vcgencmd pmic_read_adc`,
    raspberrypi.com/documentation/computers/os.html#vcgencmd.
PI_TEMPERATURE, PI_THROTTLED: in the format of `measure_temp` and `get_throttled` (0x50000: bits
    16 and 18, under-voltage and throttling since boot); the figures are ours.
NANO, XAVIER_AGX, TX2: `tegrastats` as recorded in DataDog/datadog-agent, the tests of its `tegra`
    check. ORIN_NANO: github.com/rbonghi/jetson_stats, issue 624. Format: Jetson Linux Developer
    Guide, "tegrastats Utility".
HAILO: the output format of `hailortcli measure-power` and of its `--duration`, from the MIT source
    hailo-ai/hailort, hailort/hailortcli/power_measurement_command.cpp; the figures are ours.
ORIN_HWMON: nodes of an ina3221 as the kernel names them; VDD_IN as in public reports, the other
    figures are ours.
"""

PI5_PMIC = """\
3V7_WL_SW_A current(0)=0.00195186A
   3V3_SYS_A current(1)=0.12589500A
   1V8_SYS_A current(2)=0.23129540A
  DDR_VDD2_A current(3)=0.00000000A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.18835450A
    0V8_SW_A current(6)=0.30644200A
  VDD_CORE_A current(7)=0.82156000A
   3V3_DAC_A current(17)=0.00000000A
   3V3_ADC_A current(18)=0.00000000A
   0V8_AON_A current(16)=0.00311355A
      HDMI_A current(22)=0.00036630A
 3V7_WL_SW_V volt(8)=3.70720000V
   3V3_SYS_V volt(9)=3.30260900V
   1V8_SYS_V volt(10)=1.81294100V
  DDR_VDD2_V volt(11)=1.10732500V
  DDR_VDDQ_V volt(12)=0.60183090V
   1V1_SYS_V volt(13)=1.10622600V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.81203820V
   3V3_DAC_V volt(20)=3.30952000V
   3V3_ADC_V volt(21)=3.31226800V
   0V8_AON_V volt(19)=0.79912020V
      HDMI_V volt(23)=5.12416000V
     EXT5V_V volt(24)=5.13756000V
      BATT_V volt(25)=0.00000000V
"""
PI_TEMPERATURE = "temp=42.8'C\n"
PI_THROTTLED = "throttled=0x50000\n"

NANO = (
    "RAM 613/3964MB (lfb 634x4MB) SWAP 0/1982MB (cached 0MB) CPU [2%@102,1%@102,0%@102,0%@102] "
    "EMC_FREQ 0% GR3D_FREQ 0% PLL@39C CPU@40.5C PMIC@100C GPU@41C AO@46C thermal@41C "
    "POM_5V_IN 900/943 POM_5V_GPU 0/0 POM_5V_CPU 123/123"
)
TX2 = (
    "RAM 1345/7829MB (lfb 1290x4MB) SWAP 0/512MB (cached 0MB) CPU [2%@345,off,off,off,off,off] "
    "EMC_FREQ 13%@40 GR3D_FREQ 0%@114 APE 150 BCPU@35C MCPU@35C GPU@41C PLL@35C AO@35.5C "
    "Tboard@35C Tdiode@36C PMIC@100C thermal@35.5C VDD_IN 2003/2658 VDD_CPU 320/518 "
    "VDD_GPU 400/735 VDD_SOC 400/415 VDD_WIFI 0/0 VDD_DDR 240/348"
)
XAVIER_AGX = (
    "RAM 1903/15692MB (lfb 3251x4MB) CPU [1%@1190,1%@1190,2%@1190,0%@1190,0%@1190,0%@1190,0%@1190,"
    "0%@1190] EMC_FREQ 0% GR3D_FREQ 0% AO@32.5C GPU@32C Tboard@32C Tdiode@34.75C AUX@31.5C "
    "CPU@33.5C thermal@32.9C PMIC@100C GPU 0/0 CPU 216/216 SOC 864/864 CV 0/0 VDDRQ 144/144 "
    "SYS5V 1889/1889"
)
ORIN_NANO = (
    "05-15-2025 18:30:28 RAM 6982/7620MB (lfb 5x1MB) SWAP 2640/16384MB (cached 202MB) "
    "CPU [97%@1984,95%@1984,95%@1984,91%@1984,88%@1984,93%@247] EMC_FREQ 18%@3199 "
    "GR3D_FREQ 84%@[713] NVENC 1%@115 NVDEC 40%@115 NVJPG off NVJPG1 off VIC 31%@115 OFA off "
    "NVDLA0 off PVA0_FREQ off APE 174 cv0@63.031C cpu@65.562C soc2@64.156C soc0@63.031C "
    "cv1@62.937C gpu@63.5C tj@65.562C soc1@64.718C cv2@60.875C VDD_IN 17946mW/15710mW "
    "VDD_CPU_GPU_CV 8896mW/7585mW VDD_SOC 3923mW/3515mW"
)

HAILO_NOW = "Current power consumption (W): 1.32837\n"
HAILO_OVER_TIME = """\
Measuring power consumption over 5 seconds:
Total samples: 17
Max value (W): 1.52837
Min value (W): 1.31219
Average value (W): 1.41573
Average time per sample (ms): 281.6
"""

ORIN_HWMON = {
    "hwmon1/name": "ina3221",
    "hwmon1/in1_label": "VDD_IN",
    "hwmon1/in1_input": "4984",
    "hwmon1/curr1_input": "1856",
    "hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "hwmon1/in2_input": "4984",
    "hwmon1/curr2_input": "184",
    "hwmon1/in3_label": "VDD_SOC",
    "hwmon1/in3_input": "4976",
    "hwmon1/curr3_input": "352",
    "hwmon1/in7_label": "sum of shunt voltages",
    "hwmon1/in7_input": "12",
    "hwmon1/curr4_input": "2392",
    "hwmon3/name": "soctherm_oc",
    "hwmon3/oc1_event_cnt": "0",
    "hwmon3/oc2_event_cnt": "0",
    "hwmon3/oc3_event_cnt": "27390",
}
